// SPDX-License-Identifier: AGPL-3.0-or-later

package socket

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Protocol is the name of this protocol in TLS (ALPN): who speaks another one called the wrong port.
const Protocol = "adit-channel/1"

// A frame is a byte that says what it is, the length of what follows in four bytes (big endian), and that.
const (
	frameObject = 'O' // an Object follows, as JSON, and its data
	frameFile   = 'F' // a File follows, as JSON
	frameData   = 'D' // a part of the data
	frameEnd    = 'E' // of the data
	frameBroken = 'X' // the data end before their end
	frameAnswer = 'A' // an Answer follows, as JSON
	frameAlive  = 'P' // nothing, but the peer lives
)

const (
	headSize  = 5
	maxHeader = 32 << 10  // bytes of JSON
	maxData   = 256 << 10 // bytes of a part
	partSize  = 128 << 10 // of those that we send
)

// errFrame says that a peer does not speak this protocol.
var errFrame = errors.New("the bytes are no frame of this protocol")

// readHead returns what the next frame is and how long. Its length is within the bounds of its kind.
func readHead(r io.Reader) (kind byte, n int, err error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	kind, long := head[0], binary.BigEndian.Uint32(head[1:])
	limit := uint32(0)
	switch kind {
	case frameObject, frameFile, frameAnswer:
		limit = maxHeader
	case frameData:
		limit = maxData
	case frameEnd, frameBroken, frameAlive:
	default:
		return 0, 0, errFrame
	}
	if long > limit {
		return 0, 0, errFrame
	}
	return kind, int(long), nil
}

// readJSON reads what a frame holds.
func readJSON(r io.Reader, n int, into any) error {
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

// appendFrame appends a frame.
func appendFrame(b []byte, kind byte, payload []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kind), uint32(len(payload)))
	return append(b, payload...)
}

// headerText returns what a frame of JSON holds.
func headerText(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err == nil && len(text) > maxHeader {
		err = fmt.Errorf("a header of %d bytes is too long", len(text))
	}
	return text, err
}
