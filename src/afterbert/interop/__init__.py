"""Exchange with other toolkits: Hugging Face folders both ways, with one file of names for each family."""
