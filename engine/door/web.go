// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import (
	"errors"
	"io"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/dicom/web"
)

// Web speaks DICOMweb to a server, over one connection at a time. It holds its slot until it is closed.
type Web struct {
	*web.Client
	slot  *Slot
	gauge prometheus.Gauge
}

// OpenWeb returns what speaks DICOMweb to the server that the slot is for. It takes the place of an association, and
// connects when it has something to ask.
func (s *Slot) OpenWeb(peer Peer) (*Web, error) {
	if peer.ServerID != s.ServerID || s.open != nil {
		panic("pacs: a connection was opened without a slot of its own") // would break the PACS's cap
	}
	if err := s.term.check(); err != nil {
		return nil, err
	}
	cfg, err := peer.Web()
	if err != nil {
		return nil, err
	}
	cfg.Guard = s.term.check
	c, err := web.New(cfg)
	if err != nil {
		return nil, err
	}
	w := &Web{Client: c, slot: s, gauge: s.gauge(peer)}
	s.open = w
	w.gauge.Inc()
	return w, nil
}

// Abort ends what is open, and leaves the slot to what follows.
func (w *Web) Abort() {
	if w.slot.open != w {
		return
	}
	w.slot.open = nil
	w.gauge.Dec()
	w.Close()
}

// Once opens a data set again only while nothing of it was read: then it can't be sent once more from the beginning.
func Once(open func() io.Reader) func() io.Reader {
	read := &onceReader{}
	return func() io.Reader {
		if read.begun {
			return &onceReader{spent: true}
		}
		read = &onceReader{r: open()}
		return read
	}
}

type onceReader struct {
	r     io.Reader
	begun bool
	spent bool
}

var errReadBefore = errors.New("it has been read in part, and can't be sent again from the beginning")

func (o *onceReader) Read(p []byte) (int, error) {
	if o.spent {
		return 0, errReadBefore
	}
	o.begun = true
	return o.r.Read(p)
}
