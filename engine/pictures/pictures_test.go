// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package pictures

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/frames"
	"github.com/adit-go/adit/dicom/render"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

func newPool(t testing.TB, c Config) *Pool {
	t.Helper()
	if c.Folder == "" {
		c.Folder = t.TempDir()
	}
	p, err := New(c)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// file is a file of an image of two rows and columns.
func file(t testing.TB, photometric string, change func(*stream.DataSet)) []byte {
	t.Helper()
	d := &stream.DataSet{}
	d.SetInt(dict.SamplesPerPixel, 1)
	d.Set(dict.PhotometricInterpretation, photometric)
	d.SetInt(dict.Rows, 2)
	d.SetInt(dict.Columns, 2)
	d.SetInt(dict.BitsAllocated, 8)
	d.SetInt(dict.BitsStored, 8)
	d.SetInt(dict.HighBit, 7)
	d.SetBytes(dict.PixelData, dict.OB, []byte{0, 10, 20, 255})
	if change != nil {
		change(d)
	}
	meta := stream.FileMeta{TransferSyntaxUID: dict.ExplicitVRLittleEndian}
	b, err := d.AppendTo(meta.AppendTo(nil), dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	return b
}

func request(b []byte) Request {
	return Request{File: bytes.NewReader(b), Size: int64(len(b)), Frame: 1, Options: render.Options{Type: render.PNG}}
}

func pixels(t testing.TB, p Picture) image.Image {
	t.Helper()
	require.Equal(t, render.PNG, p.Type)
	img, err := png.Decode(bytes.NewReader(p.Data))
	require.NoError(t, err)
	return img
}

// TestCorpus: what a worker makes is what render makes; and what GDCM decodes of one frame is what it decodes of the
// file.
func TestCorpus(t *testing.T) {
	root := testpeer.PydicomDir(t)
	p := newPool(t, Config{})
	native, decoded := 0, 0
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		x, err := frames.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil || x.Count() == 0 {
			return nil //nolint:nilerr // dicom/frames tests which
		}
		name, _ := filepath.Rel(root, path)
		t.Run(name, func(t *testing.T) {
			got, err := p.Render(t.Context(), request(b))
			if name == "test_files/JPEG2000-embedded-sequence-delimiter.dcm" { // its codestream is damaged, on purpose
				require.ErrorIs(t, err, ErrFailed)
				return
			}
			require.NoError(t, err)
			if render.Decodes(x.TransferSyntax().UID) && x.TransferSyntax().UID != dict.JPEGExtended12Bit {
				require.Equal(t, rendered(t, b), pixels(t, got))
				native++
				return
			}
			raw := filepath.Join(t.TempDir(), "raw.dcm")
			text, err := exec.Command("gdcmconv", "--raw", path, raw).CombinedOutput()
			require.NoError(t, err, string(text))
			b, err := os.ReadFile(raw)
			require.NoError(t, err)
			require.Equal(t, rendered(t, b), pixels(t, got))
			decoded++
		})
		return nil
	}))
	t.Logf("%d decoded by the worker, %d by GDCM", native, decoded)
	require.Greater(t, native, 60)
	require.GreaterOrEqual(t, decoded, 10)
	left, err := os.ReadDir(p.config.Folder)
	require.NoError(t, err)
	require.Empty(t, left)
}

// rendered is the picture that this process makes.
func rendered(t testing.TB, b []byte) image.Image {
	t.Helper()
	img, err := render.Describe(bytes.NewReader(b), int64(len(b)), 1)
	require.NoError(t, err)
	x, err := frames.Open(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	f, err := x.Frame(1)
	require.NoError(t, err)
	frame, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	data, err := render.Picture(img, frame, &render.Options{Type: render.PNG})
	require.NoError(t, err)
	out, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	return out
}

func TestWhichFrame(t *testing.T) {
	p := newPool(t, Config{})
	three := func(representative string) []byte {
		return file(t, "MONOCHROME2", func(d *stream.DataSet) {
			d.Set(dict.NumberOfFrames, "3")
			if representative != "" {
				d.Set(dict.RepresentativeFrameNumber, representative)
			}
			d.SetBytes(dict.PixelData, dict.OB, []byte{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0})
		})
	}
	for _, c := range []struct {
		representative string
		frame, shown   int
	}{{"", 1, 1}, {"", 3, 3}, {"", 0, 2}, {"3", 0, 3}, {"9", 0, 2}} {
		r := request(three(c.representative))
		r.Frame = c.frame
		got, err := p.Render(t.Context(), r)
		require.NoError(t, err)
		want := make([]byte, 4)
		want[c.shown-1] = 255
		require.Equal(t, want, pixels(t, got).(*image.Gray).Pix)
	}
	r := request(three(""))
	r.Frame = 4
	_, err := p.Render(t.Context(), r)
	require.ErrorIs(t, err, ErrNoFrame)
}

func TestRefused(t *testing.T) {
	p := newPool(t, Config{})
	jpeg2000, err := os.ReadFile(testpeer.Pydicom(t, "test_files/JPEG2000.dcm"))
	require.NoError(t, err)
	other := func(syntax string, b []byte) []byte { // another syntax of as many characters
		return bytes.ReplaceAll(b, []byte("1.2.840.10008.1.2.4.91"), []byte(syntax)[:22])
	}
	damaged := bytes.Clone(jpeg2000)
	at := bytes.Index(damaged, []byte{0xFF, 0x4F, 0xFF, 0x51})
	copy(damaged[at+10:at+60], make([]byte, 50))
	size := func(rows, columns int) func(d *stream.DataSet) {
		return func(d *stream.DataSet) {
			d.SetInt(dict.Rows, rows)
			d.SetInt(dict.Columns, columns)
		}
	}
	for _, c := range []struct {
		name string
		b    []byte
		o    render.Options
		err  error
		says string
	}{
		{"no pixel data", file(t, "MONOCHROME2", func(d *stream.DataSet) { d.Remove(dict.PixelData) }), render.Options{}, ErrUnsupported, "no pixel data"},
		{"not DICOM", []byte("nothing of ours"), render.Options{}, ErrFailed, "DICM"},
		{"cut", jpeg2000[:len(jpeg2000)-100], render.Options{}, ErrFailed, "truncated"},
		{"a syntax that nobody knows", other("1.2.840.10008.1.2.4.7777", jpeg2000), render.Options{}, ErrUnsupported, "nothing here decodes"},
		{"damaged JPEG 2000", damaged, render.Options{}, ErrFailed, "gdcmconv"},
		{"other colour", file(t, "CMYK", nil), render.Options{}, ErrUnsupported, "photometric"},
		{"more rows than pixels", file(t, "MONOCHROME2", size(60000, 60000)), render.Options{}, ErrFailed, "pixel data has 4 bytes"},
		{"a part outside", file(t, "MONOCHROME2", nil), render.Options{Source: [4]int{5, 0, 0, 0}}, ErrOptions, "outside"},
		{"a wrong window", file(t, "MONOCHROME2", nil), render.Options{Window: &render.Window{}}, ErrOptions, "window"},
		{"what a worker says isn't trusted", file(t, talks, nil), render.Options{}, ErrFailed, "[2J<b></b>xx"},
		{"a worker can do nothing", file(t, escapes, nil), render.Options{}, ErrFailed, "this image cannot be decoded: could:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(c.b)
			r.Options = c.o
			r.Options.Type = render.JPEG
			_, err := p.Render(t.Context(), r)
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "could:,", "what the worker could do")
			require.Less(t, len(err.Error()), 1200)
		})
	}
	without := newPool(t, Config{Decoder: "/does/not/exist"})
	_, err = without.Render(t.Context(), request(jpeg2000))
	require.ErrorIs(t, err, ErrFailed)
	without.config.Decoder = ""
	_, err = without.Render(t.Context(), request(jpeg2000))
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, "libgdcm-tools")
}

// TestHundredHostile: of a hundred images that end their worker, each fails alone; others are shown all the while.
func TestHundredHostile(t *testing.T) {
	p := newPool(t, Config{Workers: 2, Queue: 8})
	jpeg, err := os.ReadFile(testpeer.Pydicom(t, "test_files/SC_rgb_jpeg_dcmtk.dcm"))
	require.NoError(t, err)
	huge := bytes.Clone(jpeg) // its JPEG image says 60,000 rows and columns, and so does its header
	at := bytes.Index(huge, []byte{0xFF, 0xC0, 0, 17, 8})
	copy(huge[at+5:], []byte{0xEA, 0x60, 0xEA, 0x60})
	for _, tag := range []byte{0x10, 0x11} {
		at := bytes.Index(huge, []byte{0x28, 0, tag, 0, 'U', 'S', 2, 0})
		copy(huge[at+8:], []byte{0x60, 0xEA})
	}
	lying := bytes.Clone(huge) // of 4,000 rows and columns, and of a few bytes
	for _, tag := range []byte{0x10, 0x11} {
		at := bytes.Index(lying, []byte{0x28, 0, tag, 0, 'U', 'S', 2, 0})
		copy(lying[at+8:], []byte{0xA0, 0x0F})
	}
	copy(lying[bytes.Index(lying, []byte{0xFF, 0xC0, 0, 17, 8})+5:], []byte{0x0F, 0xA0, 0x0F, 0xA0})
	hostile := []struct {
		b    []byte
		want error
	}{
		{file(t, crashes, nil), ErrFailed},
		{huge, ErrUnsupported},
		{file(t, crashes, nil), ErrFailed},
		{lying, ErrFailed},
		{file(t, swallows, nil), ErrFailed},
	}
	good := file(t, "MONOCHROME2", nil)
	done := make(chan struct{})
	var others sync.WaitGroup
	shown := 0
	others.Go(func() {
		for {
			got, err := p.Render(context.Background(), request(good))
			if err != nil {
				t.Error("an innocent image:", err)
				return
			}
			shown++
			if !bytes.HasPrefix(got.Data, []byte("\x89PNG")) {
				t.Error("not a picture")
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range 100 {
		h := hostile[i%len(hostile)]
		if i%len(hostile) == 4 && i >= 15 { // it takes seconds each: three are enough
			h = hostile[0]
		}
		_, err := p.Render(t.Context(), request(h.b))
		require.ErrorIs(t, err, h.want, "%d", i)
	}
	close(done)
	others.Wait()
	require.Positive(t, shown)
	t.Logf("%d others were shown meanwhile", shown)
}

// TestPatience: an endless loop ends.
func TestPatience(t *testing.T) {
	p := newPool(t, Config{Workers: 1, Patience: 50 * time.Millisecond})
	_, err := p.Render(t.Context(), request(file(t, loops, nil)))
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorContains(t, err, "too long")
	require.Nil(t, <-p.workers, "the worker is gone")
	p.workers <- nil
}

// slow is a file each read of which takes longer than there is patience for.
type slow struct {
	*bytes.Reader

	reads int
}

func (s *slow) ReadAt(p []byte, off int64) (int, error) {
	s.reads++
	<-time.After(100 * time.Millisecond)
	return s.Reader.ReadAt(p, off)
}

// TestSlowFile: a file is read no longer than there is patience, whatever is in it.
func TestSlowFile(t *testing.T) {
	p := newPool(t, Config{Workers: 1, Patience: 50 * time.Millisecond})
	b := file(t, "MONOCHROME2", nil)
	r, from := request(b), &slow{Reader: bytes.NewReader(b)}
	r.File = from
	_, err := p.Render(t.Context(), r)
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, errPatience)
	require.Equal(t, 1, from.reads)
}

// TestBusy: so many wait, and no more; who leaves makes room.
func TestBusy(t *testing.T) {
	p := newPool(t, Config{Workers: 1, Queue: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answers := make(chan error, 2)
	begin := func(b []byte) {
		go func() {
			_, err := p.Render(ctx, request(b))
			answers <- err
		}()
	}
	begin(file(t, loops, nil))
	until(t, func() bool { return len(p.workers) == 0 })
	begin(file(t, "MONOCHROME2", nil))
	until(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.waiting == 1
	})
	_, err := p.Render(t.Context(), request(file(t, "MONOCHROME2", nil)))
	busy, ok := errors.AsType[*Busy](err)
	require.True(t, ok, "%v", err)
	require.Positive(t, busy.RetryAfter)
	cancel()
	require.ErrorIs(t, <-answers, context.Canceled)
	require.ErrorIs(t, <-answers, context.Canceled)
	_, err = p.Render(t.Context(), request(file(t, "MONOCHROME2", nil)))
	require.NoError(t, err)
}

// until waits for what another goroutine is about to do.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	for !ok() {
		require.NoError(t, t.Context().Err())
		runtime.Gosched()
	}
}

// TestClose ends what is under way, and refuses what comes then.
func TestClose(t *testing.T) {
	p := newPool(t, Config{Workers: 1})
	answer := make(chan error)
	endless := request(file(t, loops, nil))
	go func() {
		_, err := p.Render(context.Background(), endless)
		answer <- err
	}()
	until(t, func() bool { return len(p.workers) == 0 })
	closed := make(chan struct{})
	go func() {
		p.Close()
		close(closed)
	}()
	require.ErrorIs(t, <-answer, errStopped)
	<-closed
	_, err := p.Render(context.Background(), request(file(t, loops, nil)))
	require.ErrorIs(t, err, errStopped)
	p.workers <- nil // for the Close of the test
}

// TestIdleWorkerEnds: a worker that ends while it has nothing to do harms no request.
func TestIdleWorkerEnds(t *testing.T) {
	p := newPool(t, Config{Workers: 1})
	for range 3 {
		_, err := p.Render(t.Context(), request(file(t, "MONOCHROME2", nil)))
		require.NoError(t, err)
		w := <-p.workers
		require.NoError(t, w.cmd.Process.Kill())
		_, err = w.cmd.Process.Wait()
		require.NoError(t, err)
		p.workers <- w
	}
}

// broken is a file that can't be read from an offset on.
type broken struct {
	io.ReaderAt

	from int64
}

var errDisk = errors.New("the disk is broken")

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > b.from {
		return 0, errDisk
	}
	return b.ReaderAt.ReadAt(p, at)
}

// TestFileFails: that a file can't be read is no fault of its image.
func TestFileFails(t *testing.T) {
	b := file(t, "MONOCHROME2", nil)
	p := newPool(t, Config{})
	r := request(b)
	r.File = broken{bytes.NewReader(b), int64(len(b)) - 1}
	_, err := p.Render(t.Context(), r)
	require.ErrorIs(t, err, errDisk)
	require.NotErrorIs(t, err, ErrFailed)
	_, err = p.Render(t.Context(), request(b))
	require.NoError(t, err)
}

// TestDecoder: what gdcmconv is given has nothing of the patient, and its process is limited.
func TestDecoder(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "decoder")
	require.NoError(t, os.WriteFile(script, []byte(`#!/bin/sh
d=$(dirname "$0")
cp "$2" "$d/in.dcm"
{ ulimit -v; ulimit -d; ulimit -f; ulimit -t; ulimit -c; ulimit -n; pwd; nice; } > "$d/limits"
env > "$d/env"
exit 1
`), 0o700))
	p := newPool(t, Config{Decoder: script})
	b, err := os.ReadFile(testpeer.Pydicom(t, "test_files/JPEG2000.dcm"))
	require.NoError(t, err)
	_, err = p.Render(t.Context(), request(b))
	require.ErrorIs(t, err, ErrFailed)

	in, err := os.ReadFile(filepath.Join(dir, "in.dcm"))
	require.NoError(t, err)
	_, o, err := stream.OpenFile(bytes.NewReader(in), stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	for e := range o.Header().All {
		if e.Tag != dict.SOPClassUID && e.Tag != dict.SOPInstanceUID {
			require.Equal(t, uint16(0x0028), e.Tag.Group(), e.Tag.String())
		}
	}
	require.Equal(t, "2.25.1", o.Header().SOPInstanceUID())
	limits, err := os.ReadFile(filepath.Join(dir, "limits"))
	require.NoError(t, err)
	// addresses and data in KiB, blocks of 512 bytes, seconds, blocks, files; folder; niceness
	const memory = "2097152"
	require.Equal(t, []string{memory, memory, "1048576", "20", "0", "32", "/", "10"}, strings.Fields(string(limits)))
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	require.NoError(t, err)
	for line := range strings.Lines(string(env)) { // what the shell makes itself
		require.Regexp(t, `^(PWD|SHLVL|_|OLDPWD)=`, line)
	}
	left, err := os.ReadDir(p.config.Folder)
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nwhile :; do :; done\n"), 0o700))
	p = newPool(t, Config{Decoder: script, Patience: 50 * time.Millisecond})
	_, err = p.Render(t.Context(), request(b))
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorContains(t, err, "too long")
}
