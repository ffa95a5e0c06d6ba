"""Look inside as a folder of static files: networks and images as data, computed in the browser by `static/`.

    python -m cnnlab export-site FOLDER 3conv-dropout

writes index.html with its scripts, site.json (layers, results, labels), images.bin (uint8) and a file of float32
weights for each network. Any web server can serve the folder; nothing is loaded from elsewhere. `static/network.js` is
`models.numpy_forward` in JavaScript.
"""

from cnnlab.site_export.export import SiteError, export_site

__all__ = ["SiteError", "export_site"]
