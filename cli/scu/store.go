// SPDX-License-Identifier: AGPL-3.0-or-later

package scu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/quickfile"
	"github.com/adit-go/adit/internal/words"
)

// StoreCmd sends files to a server.
type StoreCmd struct {
	peer
	Paths []string `arg:"" name:"path" type:"path" help:"DICOM files, and folders of DICOM files, to send."`
}

// stored is what store --json writes.
type stored struct {
	Stored   int `json:"stored"`
	Failed   int `json:"failed"`
	Warnings int `json:"warnings"` // of those that were stored
	NotDICOM int `json:"not_dicom"`
}

// dicomFile is a file to be sent.
type dicomFile struct {
	path string
	meta stream.FileMeta
}

// Run is C-STORE. Files are sent as they are.
func (c *StoreCmd) Run(ctx context.Context, io command.Streams) error {
	defer command.TakeCores(command.One)() // the next file is read while the peer has the word
	files, skipped, err := c.files(io)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("there is no DICOM file to send")
	}
	s := storing{io: io}
	for len(files) > 0 {
		contexts, n := fileContexts(files)
		done := 0
		err := c.call(ctx, contexts, func(a *dimse.Association) (err error) {
			done, err = s.send(ctx, a, files[:n])
			return err
		})
		_, none := errors.AsType[*dimse.NoContextsError](err)
		switch {
		case none:
			done = n
			s.failed += n
			fmt.Fprintf(io.Err, "%s: %v\n", words.Plural(n, "file", "files"), err)
		case err != nil && (done == 0 || ctx.Err() != nil):
			return fmt.Errorf(
				"%s stored, %d failed, %s not sent: %w", words.Plural(s.sent, "instance was", "instances were"), s.failed,
				words.Plural(len(files)-done, "file was", "files were"), err,
			)
		}
		// an association that ended did so with a file that is named; the rest goes over another one
		files = files[done:]
	}
	if err := c.Say(
		io, stored{s.sent, s.failed, s.noted, skipped}, "%s stored, %d failed, %s not DICOM.",
		words.Plural(s.sent, "instance was", "instances were"), s.failed,
		words.Plural(skipped, "file is", "files are"),
	); err != nil {
		return err
	}
	switch {
	case s.failed > 0:
		return &command.Status{Code: command.ExitFailure}
	case s.noted > 0 || skipped > 0:
		return &command.Status{Code: command.ExitWarning}
	}
	return nil
}

// storing counts files, and names those that failed.
type storing struct {
	io                  command.Streams
	sent, failed, noted int
}

// send sends files over an association, as long as that lives, and gives how many are done.
func (s *storing) send(ctx context.Context, a *dimse.Association, files []dicomFile) (done int, err error) {
	for f := range opened(files) {
		warning, err := f.send(ctx, a)
		if _, stale := errors.AsType[*dimse.StaleError](err); stale && done > 0 {
			return done, err // nothing of this one was sent
		}
		if ctx.Err() != nil {
			return done, err
		}
		done++
		switch {
		case err != nil:
			s.failed++
			fmt.Fprintf(s.io.Err, "%s: %v\n", f.path, err)
		default:
			s.sent++
			if warning != "" {
				s.noted++
				fmt.Fprintf(s.io.Err, "%s: %s\n", f.path, warning)
			}
		}
		if a.Err() != nil {
			return done, a.Err()
		}
	}
	return done, nil
}

// files reads the file meta information of all files. What is not DICOM, or can't be read, is named and skipped.
func (c *StoreCmd) files(io command.Streams) (files []dicomFile, skipped int, err error) {
	for _, path := range c.Paths {
		root := path
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() || err != nil && path == root {
				return err
			}
			var meta stream.FileMeta
			if err == nil {
				meta, err = readMeta(path)
			}
			if err != nil {
				skipped++
				fmt.Fprintf(io.Err, "%s: %v\n", path, err)
				return nil
			}
			files = append(files, dicomFile{path, meta})
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return files, skipped, nil
}

func readMeta(path string) (stream.FileMeta, error) {
	f, err := quickfile.Open(path)
	if err != nil {
		return stream.FileMeta{}, err
	}
	defer func() { _ = f.Close() }() // was only read
	meta, err := stream.ReadFileMeta(f)
	if err != nil {
		return meta, err
	}
	if meta.MediaStorageSOPClassUID == "" || meta.MediaStorageSOPInstanceUID == "" {
		err = errors.New("its file meta information does not name the SOP class and instance")
	}
	return meta, err
}

// fileContexts returns the presentation contexts of the first files, as many files as fit into one association.
func fileContexts(files []dicomFile) (contexts []dimse.Context, n int) {
	for _, f := range files {
		has := slices.ContainsFunc(contexts, func(c dimse.Context) bool {
			return c.AbstractSyntax == f.meta.MediaStorageSOPClassUID &&
				c.TransferSyntaxes[0] == f.meta.TransferSyntaxUID
		})
		if !has {
			if len(contexts) == MaxProposed {
				break
			}
			contexts = append(contexts, dimse.Context{
				AbstractSyntax:   f.meta.MediaStorageSOPClassUID,
				TransferSyntaxes: []string{f.meta.TransferSyntaxUID},
			})
		}
		n++
	}
	return contexts, n
}

// openedFile is a file whose beginning was read, or that can't be read.
type openedFile struct {
	dicomFile
	in     *quickfile.File
	object *stream.Object
	err    error
}

// opened returns the files in their order, each opened while the one before it is sent.
func opened(files []dicomFile) iter.Seq[*openedFile] {
	return func(yield func(*openedFile) bool) {
		ready, stop := make(chan *openedFile), make(chan struct{})
		go func() {
			defer close(ready)
			for _, f := range files {
				o := open(f)
				select {
				case ready <- o:
				case <-stop:
					o.close()
					return
				}
			}
		}()
		defer func() {
			close(stop)
			for o := range ready {
				o.close()
			}
		}()
		for o := range ready {
			if !yield(o) {
				return
			}
		}
	}
}

func open(f dicomFile) *openedFile {
	o := &openedFile{dicomFile: f}
	if o.in, o.err = quickfile.Open(f.path); o.err != nil {
		return o
	}
	if _, o.object, o.err = stream.OpenFile(o.in, stream.Limits{}); o.err == nil {
		o.object.ReadAhead()
	}
	return o
}

func (f *openedFile) close() {
	if f.object != nil {
		_ = f.object.Close() // gives memory back
	}
	if f.in != nil {
		_ = f.in.Close() // was only read
	}
}

// send sends a file and closes it.
func (f *openedFile) send(ctx context.Context, a *dimse.Association) (warning string, err error) {
	defer f.close()
	if f.err != nil {
		return "", f.err
	}
	rsp, err := a.Store(ctx, dimse.StoreRequest{
		SOPClassUID: f.meta.MediaStorageSOPClassUID, SOPInstanceUID: f.meta.MediaStorageSOPInstanceUID,
		TransferSyntaxUID: f.meta.TransferSyntaxUID,
	}, f.object)
	if source, ok := errors.AsType[*ul.SourceError](err); ok {
		return "", fmt.Errorf("the file can't be read to its end: %w", source.Err)
	}
	if err != nil {
		return "", err
	}
	switch rsp.Status.Class() {
	case dimse.ClassSuccess:
		return "", nil
	case dimse.ClassWarning:
		return statusOf(dimse.CStore, rsp.Status, rsp.ErrorComment).Error(), nil
	}
	return "", statusOf(dimse.CStore, rsp.Status, rsp.ErrorComment)
}
