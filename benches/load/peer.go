// The comparison of benches/load/run: a minimal service in Go with only the standard
// library: user from a trusted proxy's headers, signed token, redirect, one log line.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

type tenant struct {
	Udn string `json:"udn,omitempty"`
	Ufn string `json:"ufn,omitempty"`
	Uem string `json:"uem,omitempty"`
}

type claims struct {
	Iat        int64  `json:"iat"`
	Jti        string `json:"jti"`
	Sub        string `json:"sub"`
	ExternalID string `json:"external_id,omitempty"`
	Ti         tenant `json:"ti"`
}

type line struct {
	Time      time.Time `json:"timestamp"`
	Message   string    `json:"message"`
	RequestID string    `json:"request_id"`
	Jti       string    `json:"jti"`
	Peer      string    `json:"peer"`
	TookUs    int64     `json:"took_us"`
}

var (
	secret  = []byte(os.Getenv("SECRET"))
	mutex   sync.Mutex
	log     = bufio.NewWriterSize(os.Stderr, 256*1024)
	encoder = json.NewEncoder(log)
	header  = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
)

func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func handOff(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	email := strings.TrimSpace(r.Header.Get("X-Auth-Request-Email"))
	if host != "127.0.0.1" || strings.Count(email, "@") != 1 {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	jti, id := uuid(), uuid()
	body, _ := json.Marshal(claims{started.Unix(), jti, email, r.Header.Get("X-Auth-Request-User"), tenant{Uem: email}})
	signed := header + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	token := signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "frame-ancestors https://app.example.com")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Request-Id", id)
	h.Set("Location", "https://imp.sandbox.pandium.com/acme?tenant="+token)
	w.WriteHeader(http.StatusTemporaryRedirect)
	mutex.Lock()
	encoder.Encode(line{started, "handed a user off", id, jti, host, time.Since(started).Microseconds()})
	mutex.Unlock()
}

func main() {
	http.HandleFunc("/pandium-sso", handOff)
	panic(http.ListenAndServe(os.Args[1], nil))
}
