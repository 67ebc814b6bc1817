"""How fits are judged and set beside each other."""
