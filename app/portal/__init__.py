"""The developer portal: pages for whoever calls the API, and for administrators, who see who calls which version."""
