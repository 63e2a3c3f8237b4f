"""What is kept: tables, the database behind them, and one small module of functions per noun."""
