"""What one flow run sees and makes."""
