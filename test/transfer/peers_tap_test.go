// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

// tap stands between ADIT and a real program, hands every byte on as it is, and takes down what passes: the contexts
// that were proposed and accepted, and the data set of every C-STORE request, whichever side sends it.
type tap struct {
	addr   string // host:port to be called instead of the program's
	listen net.Listener
	target string

	mu       sync.Mutex
	conns    []net.Conn
	objects  []tapped
	proposed map[string][]string // transfer syntaxes by abstract syntax, of all associations
	problems []error

	pumps sync.WaitGroup
}

// tapped is an object as it passed a tap.
type tapped struct {
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string
	DataSet                                        []byte
}

// print is what must be the same on both sides of ADIT.
func (o tapped) print() string {
	sum := sha256.Sum256(o.DataSet)
	return fmt.Sprintf(
		"%s %s %s %d bytes", o.SOPClassUID, o.TransferSyntaxUID, hex.EncodeToString(sum[:]), len(o.DataSet),
	)
}

func newTap(t *testing.T, target string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tap{addr: l.Addr().String(), listen: l, target: target, proposed: map[string][]string{}}
	p.pumps.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.pumps.Wait()
	})
	return p
}

func (p *tap) serve() {
	for {
		near, err := p.listen.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, near, far)
		p.mu.Unlock()
		a := &tappedAssociation{tap: p, syntaxes: map[byte]string{}}
		p.pumps.Go(func() { a.pump(far, near) })
		p.pumps.Go(func() { a.pump(near, far) })
	}
}

// sent returns what has passed, by SOP Instance UID. An object that passed twice fails the test.
func (p *tap) sent(t *testing.T) map[string]tapped {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.problems)
	all := map[string]tapped{}
	for _, o := range p.objects {
		require.NotContains(t, all, o.SOPInstanceUID, "it passed twice")
		all[o.SOPInstanceUID] = o
	}
	return all
}

// offered reports whether a transfer syntax was ever proposed for a SOP class.
func (p *tap) offered(class, syntax string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.proposed[class], syntax)
}

// tappedAssociation is one association, both directions.
type tappedAssociation struct {
	tap *tap

	mu       sync.Mutex
	contexts []ul.ContextRQ
	syntaxes map[byte]string // accepted, by context ID
}

const maxTappedPDU = 16 << 20

// pump hands on PDU by PDU, each taken down before it goes on: when a side acts upon it, it is on record.
func (a *tappedAssociation) pump(dst, src net.Conn) {
	defer func() { _ = dst.(*net.TCPConn).CloseWrite() }()
	var d direction
	var pdu []byte
	acknowledgeAtOnce(src)
	for {
		pdu = append(pdu[:0], make([]byte, 6)...)
		n, err := io.ReadFull(src, pdu)
		if err == nil {
			length := binary.BigEndian.Uint32(pdu[2:])
			if length > maxTappedPDU {
				a.tap.problem(fmt.Errorf("a PDU of %d bytes", length))
				return
			}
			pdu = append(pdu, make([]byte, length)...)
			acknowledgeAtOnce(src)
			var m int
			m, err = io.ReadFull(src, pdu[n:])
			n += m
		}
		if err == nil {
			err = a.note(&d, ul.PDUType(pdu[0]), pdu[6:])
			a.tap.problem(err)
		}
		if _, werr := dst.Write(pdu[:n]); werr != nil || err != nil {
			return
		}
	}
}

func (p *tap) problem(err error) {
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.problems = append(p.problems, err)
	}
}

// direction is what one side has begun to send.
type direction struct {
	command []byte
	object  *tapped // whose data set is passing; nil if it is not that of a C-STORE request
}

func (a *tappedAssociation) note(d *direction, t ul.PDUType, body []byte) error {
	pdu, err := ul.DecodePDU(t, body)
	if err != nil {
		return err
	}
	switch pdu := pdu.(type) {
	case *ul.AssociateRQ:
		a.mu.Lock()
		defer a.mu.Unlock()
		a.contexts = pdu.Contexts
		a.tap.mu.Lock()
		defer a.tap.mu.Unlock()
		for _, c := range pdu.Contexts {
			a.tap.proposed[c.AbstractSyntax] = append(a.tap.proposed[c.AbstractSyntax], c.TransferSyntaxes...)
		}
	case *ul.AssociateAC:
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, c := range pdu.Contexts {
			if c.Result == ul.ContextAccepted {
				a.syntaxes[c.ID] = c.TransferSyntax
			}
		}
	case *ul.PDataTF:
		for _, v := range pdu.Values {
			if err := a.noteValue(d, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *tappedAssociation) noteValue(d *direction, v ul.PDV) error {
	if !v.Command {
		if d.object != nil {
			d.object.DataSet = append(d.object.DataSet, v.Data...)
			if v.Last {
				a.tap.mu.Lock()
				defer a.tap.mu.Unlock()
				a.tap.objects = append(a.tap.objects, *d.object)
				d.object = nil
			}
		}
		return nil
	}
	d.command = append(d.command, v.Data...)
	if !v.Last {
		return nil
	}
	c, err := dimse.DecodeCommand(bytes.Clone(d.command))
	d.command, d.object = d.command[:0], nil
	if err != nil || c.Field != dimse.CStoreRQ {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	syntax, ok := a.syntaxes[v.ContextID]
	if !ok {
		return errors.New("an object was sent over a context that was not accepted")
	}
	d.object = &tapped{
		SOPClassUID: c.AffectedSOPClassUID, SOPInstanceUID: c.AffectedSOPInstanceUID, TransferSyntaxUID: syntax,
	}
	return nil
}
