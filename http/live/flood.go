// SPDX-License-Identifier: AGPL-3.0-or-later

package live

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	floodBurst = 1 << 20  // bytes that may come at once
	floodRate  = 64 << 10 // bytes a second that may come in the long run
)

var errFlood = errors.New("more came than is read")

// metered is a connection over which no more is read than somebody who asks for topics and searches sends. Frames that
// end no message are never seen above it, and cost time all the same.
type metered struct {
	net.Conn
	left  float64 // bytes that may come now
	last  time.Time
	flood func() // called when there are more, by who reads
}

// Read implements net.Conn.
func (m *metered) Read(b []byte) (int, error) {
	now := time.Now()
	m.left = min(floodBurst, m.left+now.Sub(m.last).Seconds()*floodRate)
	m.last = now
	if m.left <= 0 {
		if m.flood != nil {
			m.flood()
		}
		return 0, errFlood
	}
	n, err := m.Conn.Read(b)
	m.left -= float64(n)
	return n, err
}

// meter has the connection of a request metered from its upgrade on.
type meter struct {
	http.ResponseWriter
	conn *metered
}

// Hijack implements http.Hijacker.
func (m *meter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(m.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	m.conn = &metered{Conn: conn, left: floodBurst, last: time.Now()}
	return m.conn, rw, nil
}
