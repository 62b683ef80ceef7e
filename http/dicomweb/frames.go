// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/frames"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/http/problem"
)

// viewed is an instance that a viewer asks for a part of, as it may go out.
type viewed struct {
	*reading.Instance
	file io.ReaderAt
	size int64
	tell func(context.Context) error // leaves a row in the audit log, before anything of it goes out
}

// show waits for the instance of the path, until release is called. What lies in an archive is not brought back for it.
func (of what) show(r *http.Request) (s viewed, release func(), err error) {
	if err := of.ForViewing(r.Context()); err != nil {
		return s, nil, err
	}
	i, leave, err := of.Instance(r.Context(), of.series, of.instance)
	if err != nil {
		return s, nil, err
	}
	file, size, done, err := i.Out()
	if err != nil {
		leave()
		return s, nil, err
	}
	return viewed{i, file, size, of.tell}, func() { done(); leave() }, nil
}

// maxFrames is how many one request may name.
const maxFrames = 1000

// frameNumbers reads a list of frames, counted from 1.
func frameNumbers(list string) (numbers []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || len(numbers) == maxFrames {
			return nil, problem.New(http.StatusBadRequest, fmt.Sprintf(
				"Frames are named by their numbers, from 1, with commas between them; at most %d at once.", maxFrames,
			))
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// frames serves the pixel data of frames (PS3.18 10.4.1.1.6), as they are stored.
func (p proxy) frames(w http.ResponseWriter, r *http.Request, of what) error {
	numbers, err := frameNumbers(chi.URLParam(r, "frames"))
	if err != nil {
		return err
	}
	if err := old(r); err != nil {
		return err
	}
	s, release, err := of.show(r)
	if err != nil {
		return err
	}
	defer release()
	index, err := frames.Open(s.file, s.size)
	if err != nil {
		return framesFailed(err)
	}
	list, size, err := readersOf(index, numbers)
	if err != nil {
		return framesFailed(err)
	}
	stored := value{kind: index.MediaType(), syntax: s.TransferSyntaxUID, tell: s.tell}
	if !index.TransferSyntax().Encapsulated {
		stored.syntax = dict.ExplicitVRLittleEndian
	}
	return stored.write(w, r, size, list...)
}

// readersOf returns what reads some frames, and the bytes of the last one.
func readersOf(index *frames.Index, numbers []int) (list []io.Reader, size int64, err error) {
	for _, n := range numbers {
		f, err := index.Frame(n)
		if err != nil {
			return nil, 0, err
		}
		list, size = append(list, f.Reader()), f.Size
	}
	return list, size, nil
}

// framesFailed judges why frames can't be told apart, or are not there.
func framesFailed(err error) error {
	status := http.StatusNotAcceptable
	switch {
	case errors.Is(err, frames.ErrNoFrame), errors.Is(err, frames.ErrNoPixelData), errors.Is(err, frames.ErrNoValue):
		status = http.StatusNotFound
	case errors.Is(err, frames.ErrUnclear), errors.Is(err, frames.ErrDeflated):
	case errors.Is(err, stream.ErrMalformed), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, stream.ErrTooLarge):
		return problem.New(http.StatusBadGateway, problem.Sentence("the instance is damaged: "+err.Error()))
	default:
		return err
	}
	return problem.New(status, problem.Sentence(err.Error()))
}

// value is bulk data as it is stored.
type value struct {
	kind   string // media type
	syntax string // transfer syntax; empty: it is no pixel data
	tell   func(context.Context) error
}

const bytesType = "application/octet-stream"

// form is the way in which a client takes it; ok is false if it doesn't. Whoever asks for octets in any transfer syntax
// takes what is compressed, too: viewers do so.
func (v value) form(r *http.Request) (single, ok bool) {
	fields := accepted(r)
	for _, t := range media.ByWeight(media.ParseList(fields...)) {
		syntax := t.Param("transfer-syntax")
		fits := syntax == "" || syntax == "*" || syntax == v.syntax || v.syntax == ""
		inner := media.Type{Name: t.Param("type")}
		switch {
		case t.Name == "*/*", t.Name == "multipart/*":
			return v.syntax == "" && t.Name == "*/*", true
		case t.Name == "multipart/related" && fits:
			if inner.Name == "" || inner.Includes(v.kind) || inner.Name == bytesType && syntax == "*" {
				return false, true
			}
		case t.Name != "multipart/related" && fits && (t.Includes(v.kind) || t.Name == bytesType && syntax == "*"):
			return true, true
		}
	}
	return false, len(fields) == 0
}

// write writes what is read from some readers, of which the first has so many bytes if it is the only one.
func (v value) write(w http.ResponseWriter, r *http.Request, size int64, list ...io.Reader) error {
	single, ok := v.form(r)
	if !ok || single && len(list) > 1 {
		what := "It is stored as " + v.kind
		if v.syntax != "" {
			what += " in the transfer syntax " + v.syntax
		}
		return problem.New(http.StatusNotAcceptable, what+`; accept that, or multipart/related; type="`+bytesType+
			`"; transfer-syntax=*.`)
	}
	kind := v.kind
	if v.syntax != "" {
		kind += ";transfer-syntax=" + v.syntax
	}
	if err := v.tell(r.Context()); err != nil {
		return err
	}
	out := &answering{w: w, ctx: r.Context()}
	if single {
		return out.alone(v.kind, size, list[0])
	}
	out.type_ = `multipart/related; type="` + v.kind + `"`
	out.begin()
	for _, one := range list {
		err := out.message.Begin(multipart.Field{Name: "Content-Type", Value: kind})
		if err == nil {
			_, err = io.Copy(out.message, one)
		}
		if err != nil {
			return out.failed(err)
		}
	}
	return out.failed(out.message.Close())
}

// alone writes so many bytes by themselves.
func (a *answering) alone(kind string, size int64, from io.Reader) error {
	h := a.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "sandbox") // a document may be anything
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	a.begin()
	_, err := io.Copy(a, from)
	return a.failed(err)
}

// sealedBulk is bulk for an address under a pseudonym.
func (p proxy) sealedBulk(w http.ResponseWriter, r *http.Request, of what) (err error) {
	var path string
	if err := of.ForViewing(r.Context()); err != nil { // whoever has not the study learns no more
		return err
	}
	if of.series, of.instance, path, err = of.Unsealed(chi.URLParam(r, "name")); err != nil {
		return err
	}
	return p.bulkAt(w, r, of, path)
}

// bulk serves a value that stands apart from the metadata (PS3.18 10.4.1.1.5).
func (p proxy) bulk(w http.ResponseWriter, r *http.Request, of what) error {
	return p.bulkAt(w, r, of, chi.URLParam(r, "path"))
}

func (p proxy) bulkAt(w http.ResponseWriter, r *http.Request, of what, at string) error {
	path, err := frames.ParsePath(at)
	if err != nil {
		return framesFailed(err)
	}
	if err := old(r); err != nil {
		return err
	}
	s, release, err := of.show(r)
	if err != nil {
		return err
	}
	defer release()
	found, err := frames.Find(s.file, s.size, path)
	if err != nil {
		return framesFailed(err)
	}
	if !found.Encapsulated {
		return value{kind: s.kindOf(path), tell: s.tell}.write(w, r, found.Length, found.Reader())
	}
	index, err := frames.Open(s.file, s.size)
	if err != nil {
		return framesFailed(err)
	}
	numbers := make([]int, index.Count())
	for i := range numbers {
		numbers[i] = i + 1
	}
	list, size, err := readersOf(index, numbers)
	if err != nil {
		return framesFailed(err)
	}
	return value{kind: index.MediaType(), syntax: s.TransferSyntaxUID, tell: s.tell}.write(w, r, size, list...)
}

// kindOf returns the media type of a value: a document says its own.
func (s viewed) kindOf(path frames.Path) string {
	if len(path) != 1 || path[0].Tag != dict.EncapsulatedDocument {
		return bytesType
	}
	_, obj, err := stream.OpenFile(io.NewSectionReader(s.file, 0, s.size), stream.Limits{})
	if err != nil {
		return bytesType
	}
	defer func() { _ = obj.Close() }()
	kind, err := media.Parse(obj.Header().Text(dict.MIMETypeOfEncapsulatedDocument))
	if err != nil || !slices.Contains(documents, kind.Name) {
		return bytesType
	}
	return kind.Name
}

// documents are the kinds of documents that are told as what they are.
var documents = []string{"application/pdf", "text/xml", "application/xml", "model/stl", "model/obj", "model/mtl"}
