tailscale serve --bg http://127.0.0.1:8080
