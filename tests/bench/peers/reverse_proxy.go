// A proxy on Go's standard library: reverse_proxy FOLDER PORT UPSTREAM_PORT.
// net/http serves, httputil.ReverseProxy forwards, and the tokens are verified as authproxy verifies them.
package main

import (
	"crypto/hmac"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const payloadBytes = 52

var digits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// buffers spares ReverseProxy a fresh 32 KiB for every answer.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte       { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any {
		buffer := make([]byte, 32*1024)
		return &buffer
	}}}
}

type user struct {
	ID      string
	Version uint64
	Hash    string
	digest  []byte
}

type verifier struct {
	pepper []byte
	users  map[string]user
}

func readVerifier(path string) (*verifier, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var known struct {
		Pepper string
		Users  []user
	}
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, err
	}
	v := &verifier{users: map[string]user{}}
	if v.pepper, err = hex.DecodeString(known.Pepper); err != nil {
		return nil, err
	}
	for _, u := range known.Users {
		if u.digest, err = hex.DecodeString(u.Hash); err != nil {
			return nil, err
		}
		id, err := hex.DecodeString(strings.ReplaceAll(u.ID, "-", ""))
		if err != nil {
			return nil, err
		}
		v.users[string(id)] = u
	}
	return v, nil
}

// userOf returns the id of the user whose token stands in an Authorization field.
func (v *verifier) userOf(authorization string) (string, bool) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") || len(token) > 4096 {
		return "", false
	}
	parts := strings.Split(strings.ToLower(token), "_")
	if len(parts) != 3 || len(parts[1]) != 6 || parts[1][:2] != "02" {
		return "", false
	}
	version, err := strconv.ParseUint(parts[1][2:], 16, 16)
	if err != nil {
		return "", false
	}
	payload, err := digits.DecodeString(parts[2])
	if err != nil || len(payload) != payloadBytes {
		return "", false
	}
	if crc32.ChecksumIEEE(payload[:48]) != binary.BigEndian.Uint32(payload[48:]) {
		return "", false
	}
	mac := hmac.New(sha512.New, v.pepper)
	mac.Write([]byte("TRV2"))
	mac.Write(payload[:16])
	mac.Write([]byte{byte(version >> 8), byte(version)})
	mac.Write(payload[16:48])
	found, ok := v.users[string(payload[:16])]
	if !hmac.Equal(mac.Sum(nil), found.digest) || !ok || version != found.Version {
		return "", false
	}
	return found.ID, true
}

func main() {
	folder, port, upstream := os.Args[1], os.Args[2], os.Args[3]
	verifier, err := readVerifier(filepath.Join(folder, "tokens.json"))
	if err != nil {
		log.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		log.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(authority) {
		log.Fatal("ca.pem holds no certificate")
	}
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{
				RootCAs: trusted, ServerName: "upstream.test", MinVersion: tls.VersionTLS13,
			},
			MaxIdleConns:        1024,
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     time.Hour,
			DisableCompression:  true,
		},
		BufferPool: newBuffers(),
		Director: func(r *http.Request) {
			r.URL.Scheme = "https"
			r.URL.Host = "127.0.0.1:" + upstream
			r.Header.Del("Authorization")
			// ReverseProxy itself adds the address of the client.
			r.Header.Del("X-Forwarded-For")
			r.Header.Set("X-Forwarded-Proto", "https")
			r.Header.Set("X-Forwarded-Host", r.Host)
		},
	}
	handle := func(w http.ResponseWriter, r *http.Request) {
		id, ok := verifier.userOf(r.Header.Get("Authorization"))
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintln(w, `{"error":"unauthorized"}`)
			return
		}
		r.Header.Set("X-User-Id", id)
		proxy.ServeHTTP(w, r)
	}
	server := &http.Server{
		Addr:      "127.0.0.1:" + port,
		Handler:   http.HandlerFunc(handle),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
		// An empty map keeps HTTP/2 out: everybody here speaks HTTP/1.1.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	certificate := filepath.Join(folder, "server.pem")
	log.Fatal(server.ListenAndServeTLS(certificate, certificate))
}
