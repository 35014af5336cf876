-- The header fields of a browser with a session of the service.
dofile("benches/load/headers.lua")
wrk.headers["X-Auth-Request-Email"] = nil
wrk.headers["X-Auth-Request-User"] = nil
wrk.headers["Cookie"] = os.getenv("SESSION_COOKIE")
