"""Heads that only training needs: SpanBERT's boundary objective, ELECTRA's detection."""
