// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"net"
	"net/http"
	"time"
)

const (
	dialTimeout   = 10 * time.Second
	answerTimeout = 6 * time.Minute // a search may wait for a slow PACS

	// deadAfter is how long a connection may be silent to the machine itself, not to us: then the call is made again by
	// another one. A network that comes back sooner leaves it as it is.
	deadAfter = 30 * time.Second
)

// newTransport returns what sends requests unless somebody brings their own. It notices within deadAfter that a
// connection leads nowhere any more.
func newTransport() *http.Transport {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{}
	}
	transport = transport.Clone()
	dialer := &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadAfter / 2, Interval: deadAfter / 6, Count: 3},
		Control:         boundUnanswered,
	}
	transport.DialContext = dialer.DialContext
	transport.ResponseHeaderTimeout = answerTimeout
	transport.TLSHandshakeTimeout = dialTimeout
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: deadAfter / 2, PingTimeout: deadAfter / 2}
	return transport
}
