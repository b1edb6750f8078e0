"""The front doors, and the wiring behind them, which alone chooses what is fitted where. Holds no rule about jobs or carbon."""
