// SPDX-License-Identifier: AGPL-3.0-or-later

// Package pictures makes pictures of instances in processes of their own, which an image can only harm for itself. See
// DESIGN.md.
package pictures

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/frames"
	"github.com/adit-go/adit/dicom/render"
	"github.com/adit-go/adit/dicom/stream"
)

// What goes wrong with a picture; everything else is a fault of this machine.
var (
	// ErrUnsupported is wrapped where an image can't be shown here, whatever its bytes are: it has no pixel data, is a
	// video, or is of a kind that no decoder here knows.
	ErrUnsupported = render.ErrUnsupported
	// ErrFailed is wrapped where the decoder failed on this image, or ended because of it.
	ErrFailed = render.ErrDamaged
	// ErrNoFrame is wrapped where the instance has no frame of that number.
	ErrNoFrame = frames.ErrNoFrame
	// ErrOptions is wrapped where a picture is asked for that can't be.
	ErrOptions = render.ErrOptions
)

// Busy is the error where as many pictures wait already as may.
type Busy struct {
	RetryAfter time.Duration
}

func (e *Busy) Error() string {
	return fmt.Sprintf("too many pictures are being made; try again in %s", e.RetryAfter)
}

// Command is the hidden command of the program that a worker runs; its main must call Child for it.
const Command = "render"

// Config says how pictures are made. Zero values mean the default.
type Config struct {
	Program  string        // the program that has Command; default: this one
	Folder   string        // where files for gdcmconv may lie for a moment; without one, it isn't used
	Workers  int           // pictures that are made at once; default 2
	Queue    int           // requests that may wait beside these; default 32
	Patience time.Duration // how long one picture may take; default 30 s
	// Decoder is the path of GDCM's gdcmconv; default: where PATH has it.
	Decoder string
}

// Request is what a picture is made of.
type Request struct {
	File io.ReaderAt // of an instance (PS3.10 7)
	Size int64       // of the file, in bytes
	// Frame counts from 1. 0 means the one that stands for the instance: that of Representative Frame Number, or the one
	// in the middle.
	Frame   int
	Options render.Options
}

// Picture is a picture, with its media type.
type Picture struct {
	Type string
	Data []byte
}

// Pool is the workers, which are started when they are needed first. It must be closed.
type Pool struct {
	config  Config
	closed  context.Context
	close   context.CancelFunc
	workers chan *worker // those that have nothing to do; nil is one still to be started
	mu      sync.Mutex
	waiting int
}

// New makes a pool.
func New(c Config) (*Pool, error) {
	if c.Program == "" {
		program, err := os.Executable()
		if err != nil {
			return nil, err
		}
		c.Program = program
	}
	if c.Decoder == "" {
		c.Decoder, _ = exec.LookPath("gdcmconv") // an error says that there is none
	}
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.Queue <= 0 {
		c.Queue = 32
	}
	if c.Patience <= 0 {
		c.Patience = 30 * time.Second
	}
	p := &Pool{config: c, workers: make(chan *worker, c.Workers)}
	p.closed, p.close = context.WithCancel(context.Background())
	for range c.Workers {
		p.workers <- nil
	}
	return p, nil
}

// Close ends the workers, and what they are working on with an error. It waits for them.
func (p *Pool) Close() {
	p.close()
	for range p.config.Workers {
		if w := <-p.workers; w != nil {
			w.kill()
		}
	}
}

// Render makes a picture. Errors wrap ErrUnsupported, ErrFailed, ErrNoFrame, ErrOptions, or are a Busy; else the file
// can't be read, or this machine can't start a worker. The end of the context ends the work.
func (p *Pool) Render(ctx context.Context, r Request) (Picture, error) {
	if err := r.Options.Check(); err != nil {
		return Picture{}, err
	}
	if !confinable {
		return Picture{}, fmt.Errorf("%w: only on Linux, whose kernel limits what decoders may take", ErrUnsupported)
	}
	w, err := p.take(ctx)
	if err != nil {
		return Picture{}, err
	}
	defer func() { p.workers <- w }()
	limited, cancel := context.WithTimeoutCause(ctx, p.config.Patience, errPatience)
	defer cancel()
	defer context.AfterFunc(p.closed, cancel)() //nolint:contextcheck // the pool's end is another than the request's
	r.File = timely{limited, r.File}
	in, err := p.prepare(limited, r)
	if err != nil {
		return Picture{}, told(ctx, limited, err)
	}
	defer in.remove()
	var data []byte
	if w != nil {
		data, err = w.render(limited, in, &r.Options)
	}
	if w == nil || errors.Is(err, errGone) {
		if w, err = start(p.config.Program); err != nil {
			return Picture{}, err
		}
		data, err = w.render(limited, in, &r.Options)
	}
	if w.dead {
		w = nil
	}
	if err != nil {
		return Picture{}, told(ctx, limited, err)
	}
	return Picture{Type: r.Options.Type, Data: data}, nil
}

// timely is a file that is read no longer than a context lasts: what lies in it may be made to take long.
type timely struct {
	ctx  context.Context //nolint:containedctx // of the one picture that it is read for
	file io.ReaderAt
}

func (t timely) ReadAt(p []byte, off int64) (int, error) {
	if err := context.Cause(t.ctx); err != nil {
		return 0, err
	}
	return t.file.ReadAt(p, off)
}

var (
	errPatience = errors.New("it took too long")
	errStopped  = errors.New("ADIT is being stopped")
)

// told is the error of the request: that of its own context, if that is why the work ended.
func told(ctx, limited context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(context.Cause(limited), errPatience):
		return fmt.Errorf("%w: %w", ErrFailed, errPatience)
	case limited.Err() != nil:
		return errStopped
	}
	return err
}

// take waits for a worker.
func (p *Pool) take(ctx context.Context) (*worker, error) {
	select {
	case w := <-p.workers:
		return w, p.stillOpen(w)
	default:
	}
	if !p.enter() {
		return nil, &Busy{RetryAfter: 2 * time.Second}
	}
	defer func() {
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
	}()
	select {
	case w := <-p.workers:
		return w, p.stillOpen(w)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-p.closed.Done():
		return nil, errStopped
	}
}

// stillOpen gives the worker back to Close.
func (p *Pool) stillOpen(w *worker) error {
	if p.closed.Err() == nil {
		return nil
	}
	p.workers <- w
	return errStopped
}

func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting >= p.config.Queue {
		return false
	}
	p.waiting++
	return true
}

// input is a frame, and what is known of it.
type input struct {
	image  *render.Image
	frame  io.Reader
	size   int64
	remove func()
}

// prepare finds the frame in its file, and has it decoded if a worker can't.
func (p *Pool) prepare(ctx context.Context, r Request) (*input, error) {
	x, err := frames.Open(r.File, r.Size)
	if err != nil {
		return nil, judge(err)
	}
	if x.Count() == 0 {
		return nil, fmt.Errorf("%w: it has no pixel data", ErrUnsupported)
	}
	syntax := x.TransferSyntax()
	if video(x) {
		return nil, fmt.Errorf("%w: it is a video", ErrUnsupported)
	}
	n := r.Frame
	if n == 0 {
		n = 1
	}
	img, err := render.Describe(r.File, r.Size, n)
	if err != nil {
		return nil, judge(err)
	}
	if r.Frame == 0 && x.Count() > 1 {
		if n = img.Representative; n < 1 || n > x.Count() {
			n = (x.Count() + 1) / 2
		}
		if img, err = render.Describe(r.File, r.Size, n); err != nil {
			return nil, judge(err)
		}
	}
	f, err := x.Frame(n)
	if err != nil {
		return nil, err
	}
	if f.Size > render.MaxFrame {
		return nil, fmt.Errorf("%w: its frame has more than %d MiB", ErrUnsupported, render.MaxFrame>>20)
	}
	in := &input{image: img, frame: f.Reader(), size: f.Size, remove: func() {}}
	// the decoder of the worker knows no JPEG of 12 bits
	if render.Decodes(syntax.UID) && (syntax.UID != dict.JPEGExtended12Bit || img.BitsAllocated <= 8) {
		return in, nil
	}
	return p.decode(ctx, in)
}

func video(x *frames.Index) bool {
	switch x.MediaType() {
	case "video/mpeg2", "video/mp4", "video/H265":
		return true
	}
	return false
}

// judge says what kind an error of reading a file is.
func judge(err error) error {
	switch {
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrFailed):
		return err
	case errors.Is(err, frames.ErrDeflated):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, frames.ErrUnclear), errors.Is(err, stream.ErrMalformed), errors.Is(err, stream.ErrTooLarge),
		errors.Is(err, stream.ErrNotPart10), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return err
}
