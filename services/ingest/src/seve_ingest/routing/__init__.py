"""Maps topics to kind, module and sensor: routes, presets of firmwares, the route file. Pure."""
