"""Files as they come: opened safely, decoded, cleaned by the input policy, cut into documents."""
