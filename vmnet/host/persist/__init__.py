"""What a network manager must be told to make a bridge at boot as it is now."""
