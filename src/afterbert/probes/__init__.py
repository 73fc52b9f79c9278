"""What a pre-trained model can do before any fine-tuning."""
