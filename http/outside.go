// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/adit-go/adit/http/problem"
)

// origin is what a request is known by from outside: who sent it, and which address of ours they used.
type origin struct {
	caller        netip.Addr
	scheme, host  string // empty: nothing was said about it
	contradictory bool   // two headers name two callers
}

// outside has every handler see a request as its sender sent it: RemoteAddr is the caller's address and port (0 if a
// proxy stands between), Host the host that they asked for, URL.Scheme "https" if their connection is encrypted or the
// public address says so, else "http". What a request says of itself is believed only if a trusted proxy sent it, and
// only what that proxy and trusted ones before it have added: the rightmost address that is no trusted proxy is the
// caller's.
func outside(public *url.URL, proxies []netip.Prefix) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scheme := "http"
			if r.TLS != nil || public != nil && public.Scheme == "https" {
				scheme = "https"
			}
			if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && trusted(proxies, peer.Addr()) {
				o := originOf(r.Header, peer.Addr().Unmap(), proxies)
				if o.contradictory {
					problem.Refuse(
						w, r, http.StatusBadRequest,
						"The headers Forwarded and X-Forwarded-For of this request name two senders; have the proxy "+
							"in front of ADIT remove the one that it does not set.",
					)
					return
				}
				if o.caller != peer.Addr().Unmap() {
					r.RemoteAddr = netip.AddrPortFrom(o.caller, 0).String()
				}
				if o.scheme == "https" {
					scheme = o.scheme
				}
				if o.host != "" {
					r.Host = o.host
				}
			}
			r.URL.Scheme = scheme
			next.ServeHTTP(w, r)
		})
	}
}

func trusted(proxies []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// originOf reads what trusted proxies say in Forwarded (RFC 7239) or in X-Forwarded-For, -Proto and -Host.
func originOf(h http.Header, peer netip.Addr, proxies []netip.Prefix) origin {
	standard, isStandard := forwarded(h, peer, proxies)
	usual, isUsual := xForwarded(h, peer, proxies)
	switch {
	case isStandard && isUsual:
		usual.contradictory = standard.caller != usual.caller
		return usual
	case isStandard:
		return standard
	}
	return usual
}

// xForwarded reads the headers that most proxies set. Proto and Host are the nearest proxy's: they have no address to
// go by.
func xForwarded(h http.Header, peer netip.Addr, proxies []netip.Prefix) (origin, bool) {
	addresses := list(h, "X-Forwarded-For")
	o := origin{caller: peer}
	for _, text := range slices.Backward(addresses) {
		addr, ok := address(text)
		if !ok {
			break
		}
		if o.caller = addr; !trusted(proxies, addr) {
			break
		}
	}
	if protos := list(h, "X-Forwarded-Proto"); len(protos) > 0 {
		o.scheme = strings.ToLower(protos[len(protos)-1])
	}
	if hosts := list(h, "X-Forwarded-Host"); len(hosts) > 0 {
		o.host = hosts[len(hosts)-1]
	}
	return o, len(addresses) > 0
}

// forwarded reads RFC 7239: each proxy adds an element that says from whom, for which host and by which protocol it got
// the request.
func forwarded(h http.Header, peer netip.Addr, proxies []netip.Prefix) (origin, bool) {
	elements := list(h, "Forwarded")
	o := origin{caller: peer}
	for _, element := range slices.Backward(elements) {
		var sender, proto, host string
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "for":
				sender = value
			case "proto":
				proto = strings.ToLower(value)
			case "host":
				host = value
			}
		}
		o.scheme, o.host = proto, host
		addr, ok := address(sender)
		if !ok {
			break
		}
		if o.caller = addr; !trusted(proxies, addr) {
			break
		}
	}
	return o, len(elements) > 0
}

// list returns the values of a header that is a list, over all its lines.
func list(h http.Header, name string) []string {
	var out []string
	for _, line := range h.Values(name) {
		for value := range strings.SplitSeq(line, ",") {
			if value = strings.TrimSpace(value); value != "" {
				out = append(out, value)
			}
		}
	}
	return out
}

// address reads an address with or without port and brackets, as proxies write it.
func address(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap(), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return addr.Unmap(), err == nil
}

// ourHost refuses requests for another host than ours: a page that has its own name point at this address (DNS
// rebinding) gets nothing. Addresses can't be pointed elsewhere and are let pass, so that programs on this machine and
// balancers may use them. Without a public address the names of this machine are ours, and over HTTPS any name for
// which the caller has taken the certificate.
func ourHost(public *url.URL, machine string) func(http.Handler) http.Handler {
	short, _, _ := strings.Cut(machine, ".")
	known, hint := []string{machine, short},
		"Use its address, or start adit serve with --public-url http://NAME:PORT to allow this name."
	if public != nil {
		known, hint = []string{public.Hostname()}, "Use "+public.String()+"."
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := hostname(r.Host)
			ours := local(name) ||
				name != "" && slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
			if !ours && (public != nil || r.URL.Scheme != "https") {
				problem.Refuse(w, r, http.StatusMisdirectedRequest, "ADIT is not served under this name. "+hint)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// local reports whether a host without its port is named by an address or as this machine.
func local(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// hostname takes off the port, and the brackets of an IPv6 address.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// What a page of ours may do: load and call what ADIT itself serves, run its WebAssembly, show images that it made; be
// in no frame and call for no device.
const (
	contentPolicy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; " +
		"worker-src 'self' blob:; " +
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	refusalPolicy     = "default-src 'none'; frame-ancestors 'self'" // of what framed shows
	permissionsPolicy = "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), " +
		"serial=(), usb=()"
	onlyHTTPS = "max-age=31536000" // a year; other names of the domain are not ours to decide about
)

// hardened tells browsers what our pages may do.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Permissions-Policy", permissionsPolicy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.URL.Scheme == "https" {
			h.Set("Strict-Transport-Security", onlyHTTPS)
		}
		next.ServeHTTP(w, r)
	})
}

// framed lets a page of ours see in a frame why something is refused that the browser takes by itself, such as a
// download: nothing else tells it. As JSON, which every browser shows; problem+json some save as a file.
func framed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Fetch-Dest") == "iframe" {
			w = &frame{w}
		}
		next.ServeHTTP(w, r)
	})
}

type frame struct{ http.ResponseWriter }

func (f *frame) WriteHeader(status int) {
	if h := f.Header(); h.Get("Content-Type") == problem.Type {
		h.Set("Content-Type", "application/json")
		h.Set("Content-Security-Policy", refusalPolicy)
	}
	f.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (f *frame) Unwrap() http.ResponseWriter { return f.ResponseWriter }
