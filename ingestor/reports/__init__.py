"""Reports on the quality of what a home told: gathered, put into forms, kept, delivered; judges nothing itself."""
