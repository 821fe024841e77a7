"""What joins devices: links, the places of groups on them, and collectives."""
