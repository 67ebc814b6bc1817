"""Samplers that follow the gradient: NUTS and HMC."""
