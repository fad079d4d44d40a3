"""An API of other people: kettles, in two versions, without a database. It uses the kernel and nothing else of ours."""
