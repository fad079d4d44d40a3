"""Who calls which version: registered clients, what they use, their consents, and the brownouts planned for them.

The kernel (app/versioning) decides what all of this means; here it is kept in our database.
"""
