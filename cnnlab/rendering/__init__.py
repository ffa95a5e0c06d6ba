"""Results as images, chart specifications and sentences. No Streamlit here."""
