"""From files to training rows: sources, documents, tokenizers, planes, the token store. No torch here."""
