"""Results as images and Vega-Lite charts. Does not import Streamlit."""
