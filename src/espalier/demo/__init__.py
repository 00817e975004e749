"""The bundled network and photographs."""
