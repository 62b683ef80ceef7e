// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/quickfile"
)

type storeCmd struct {
	peer
	Paths []string `arg:"" name:"path" type:"path" help:"DICOM files, and folders whose files are sent."`
}

// dicomFile is a file to be sent.
type dicomFile struct {
	path string
	meta stream.FileMeta
}

// Run is C-STORE. Files are sent as they are.
func (c *storeCmd) Run(ctx context.Context, io streams) error {
	files, skipped, err := c.files(io)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("there is no DICOM file to send")
	}
	sent, failed, noted := 0, 0, 0
	for len(files) > 0 {
		contexts, n := fileContexts(files)
		err := c.call(ctx, contexts, func(a *dimse.Association) error {
			for _, f := range files[:n] {
				warning, err := sendFile(ctx, a, f)
				switch {
				case a.Err() != nil:
					return err
				case err != nil:
					failed++
					fmt.Fprintf(io.err, "%s: %v\n", f.path, err)
				default:
					sent++
					if warning != "" {
						noted++
						fmt.Fprintf(io.err, "%s: %s\n", f.path, warning)
					}
				}
			}
			return nil
		})
		if _, none := errors.AsType[*dimse.NoContextsError](err); none {
			failed += n
			fmt.Fprintf(io.err, "%d files: %v\n", n, err)
		} else if err != nil {
			return fmt.Errorf("%d objects were stored, then: %w", sent, err)
		}
		files = files[n:]
	}
	fmt.Fprintf(io.out, "%d objects were stored, %d failed, %d files are not DICOM\n", sent, failed, skipped)
	switch {
	case failed > 0:
		return &status{code: exitFailure}
	case noted > 0 || skipped > 0:
		return &status{code: exitWarning}
	}
	return nil
}

// files reads the file meta information of all files. What is not DICOM is named and skipped.
func (c *storeCmd) files(io streams) (files []dicomFile, skipped int, err error) {
	for _, path := range c.Paths {
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			meta, err := readMeta(path)
			if err != nil {
				skipped++
				fmt.Fprintf(io.err, "%s: %v\n", path, err)
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

// fileContexts gives the presentation contexts of the first files, as many files as fit into one association.
func fileContexts(files []dicomFile) (contexts []dimse.Context, n int) {
	for _, f := range files {
		has := slices.ContainsFunc(contexts, func(c dimse.Context) bool {
			return c.AbstractSyntax == f.meta.MediaStorageSOPClassUID && c.TransferSyntaxes[0] == f.meta.TransferSyntaxUID
		})
		if !has {
			if len(contexts) == maxProposed {
				break
			}
			contexts = append(contexts, dimse.Context{AbstractSyntax: f.meta.MediaStorageSOPClassUID, TransferSyntaxes: []string{f.meta.TransferSyntaxUID}})
		}
		n++
	}
	return contexts, n
}

func sendFile(ctx context.Context, a *dimse.Association, file dicomFile) (warning string, err error) {
	f, err := quickfile.Open(file.path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // was only read
	_, object, err := stream.OpenFile(f, stream.Limits{})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	rsp, err := a.Store(ctx, dimse.StoreRequest{
		SOPClassUID: file.meta.MediaStorageSOPClassUID, SOPInstanceUID: file.meta.MediaStorageSOPInstanceUID, TransferSyntaxUID: file.meta.TransferSyntaxUID,
	}, object)
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
