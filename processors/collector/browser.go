package collector

import (
	"encoding/json"
	"net/http"
)

// anyOrigin lets pages of every shop call. There is no cookie here that a page
// could use without knowing the write key, so credentials, which sendBeacon shows
// whether it has any or not, are let through.
func anyOrigin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", "Retry-After")
		}
		next(w, r)
	}
}

// preflight answers what a browser asks before a call.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
}

// serveSettings tells a browser's client of that key where to send: here. It asks
// its cdnURL, which is all of it that needs to be set.
func (s *Station) serveSettings(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if _, known := s.writeKeys.of(key); !known {
		unauthorized(true, "one of collector.write_keys as in /v1/projects/KEY/settings").write(w)
		return
	}
	type destination struct {
		APIKey   string `json:"apiKey"`
		APIHost  string `json:"apiHost"`
		Protocol string `json:"protocol"`
	}
	type metrics struct {
		SampleRate int `json:"sampleRate"` // its own, of which we want none
	}
	settings := struct {
		Integrations map[string]destination `json:"integrations"`
		Plan         struct{}               `json:"plan"`
		Metrics      metrics                `json:"metrics"`
	}{Integrations: map[string]destination{"Segment.io": {key, r.Host + "/v1", scheme(r)}}}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=300")
	_ = json.NewEncoder(w).Encode(settings) // whoever asked may be gone
}

// scheme is what the browser called by; who ends TLS before us says so.
func scheme(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}
