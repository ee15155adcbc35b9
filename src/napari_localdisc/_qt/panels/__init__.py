"""The tabs of the main widget, thin skins on the viewer's parts."""
