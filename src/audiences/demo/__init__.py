"""What `audiences demo` and `audiences init` are made of: a warehouse, a receiver, a story, a new project."""
