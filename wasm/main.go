// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build js && wasm

// Command wasm is the de-identification engine for the browser: dicom/deid, as the server has it, behind functions that
// adit-deid.mjs wraps. That file documents what JavaScript sees; DESIGN.md says how the two fit together.
package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall/js"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// main hands its functions to the global function that the first argument names, and stays to serve them.
func main() {
	js.Global().Call(os.Args[1], js.ValueOf(map[string]any{
		"profiles": builtinProfiles(),
		"profile":  function(profile),
		"identify": function(identify),
	}))
	select {}
}

// function makes a function of JavaScript. A func that is called from there can't throw, so an error is returned as
// {error}.
func function(f func(args []js.Value) (any, error)) js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) any {
		v, err := f(args)
		if err != nil {
			return failure(err)
		}
		return v
	})
}

// failure is {error: {message, kind, reason, sopInstanceUID}}, of which the last two are there for refused and unsafe
// objects.
func failure(err error) any {
	e := map[string]any{"message": err.Error(), "kind": "error"}
	if r, ok := errors.AsType[*deid.RefusedError](err); ok {
		e["kind"], e["reason"], e["sopInstanceUID"] = "refused", string(r.Reason), r.SOPInstanceUID
	}
	if u, ok := errors.AsType[*deid.UnsafeError](err); ok {
		e["kind"], e["reason"], e["sopInstanceUID"] = "unsafe", string(u.Reason), u.SOPInstanceUID
	}
	return map[string]any{"error": e}
}

func builtinProfiles() []any {
	var names []any
	for _, name := range deid.BuiltinProfiles() {
		names = append(names, name)
	}
	return names
}

// profile (definition or name) gives {name, version, hash, session}.
func profile(args []js.Value) (any, error) {
	p, err := profileOf(args[0])
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"name": p.Name(), "version": p.Version(), "hash": p.Hash(),
		"session": function(func(args []js.Value) (any, error) { return session(p, args[0]) }),
	}, nil
}

func profileOf(v js.Value) (*deid.Profile, error) {
	if v.Type() == js.TypeString {
		if p, ok := deid.BuiltinProfile(v.String()); ok {
			return p, nil
		}
		return nil, fmt.Errorf("there is no built-in profile %q", v.String())
	}
	var d deid.Definition
	if err := readDefinition(v, &d); err != nil {
		return nil, fmt.Errorf("the de-identification profile cannot be read: %w", err)
	}
	return deid.NewProfile(d)
}

// session (subject) gives {mapUID, rewrite, open, release}.
func session(p *deid.Profile, v js.Value) (any, error) {
	s, err := readSubject(v)
	if err != nil {
		return nil, fmt.Errorf("the subject cannot be read: %w", err)
	}
	made, err := p.Session(s)
	if err != nil {
		return nil, err
	}
	w := &worker{session: made}
	var functions []js.Func
	method := func(f func(args []js.Value) (any, error)) js.Func {
		made := function(f)
		functions = append(functions, made)
		return made
	}
	return map[string]any{
		"mapUID":  method(func(args []js.Value) (any, error) { return made.MapUID(args[0].String()), nil }),
		"rewrite": method(func(args []js.Value) (any, error) { return w.rewrite(args[0]) }),
		"open": method(func(args []js.Value) (any, error) {
			return promise(func() (any, error) { return w.open(args[0]) }), nil
		}),
		"release": method(func([]js.Value) (any, error) {
			for _, f := range functions {
				f.Release()
			}
			return js.Undefined(), nil
		}),
	}, nil
}

// worker de-identifies the files of one session.
type worker struct {
	session *deid.Session
	in, out []byte // for rewrite, used again
}

// rewrite (Uint8Array) de-identifies a DICOM file that is in memory. It gives {bytes, report}.
func (w *worker) rewrite(file js.Value) (any, error) {
	n := file.Get("length").Int()
	w.in = grown(w.in, n)
	js.CopyBytesToGo(w.in, file)
	object, report, err := w.start(bytes.NewReader(w.in))
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }() // gives memory back
	out := bytes.NewBuffer(object.FileMeta().AppendTo(grown(w.out, n+n/8+4096)[:0]))
	if _, err := object.WriteTo(out); err != nil {
		return nil, err
	}
	w.out = out.Bytes()
	result := js.ValueOf(map[string]any{"bytes": array(w.out), "report": reportOf(object, report)})
	if cap(w.in) > keepBelow {
		w.in, w.out = nil, nil
	}
	return result, nil
}

const (
	keepBelow = 32 << 20 // larger buffers are left to the garbage collector
	chunkSize = 256 << 10
)

// grown returns n bytes, in b if it is large enough.
func grown(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// start reads the header of a file and rewrites it.
func (w *worker) start(r io.Reader) (*stream.Object, *deid.Report, error) {
	_, object, err := stream.OpenFile(r, stream.Limits{})
	if err != nil {
		return nil, nil, err
	}
	report, err := w.session.Rewrite(object)
	if err != nil {
		_ = object.Close() // gives memory back
		return nil, report, err
	}
	return object, report, nil
}

// open (pull) de-identifies a DICOM file that comes in pieces: pull gives a promise of the next Uint8Array, and of null
// at the end. It gives {report, read, cancel}; read gives a promise of {bytes}, which is null at the end, where report
// comes once more: with what stood behind the pixel data.
func (w *worker) open(pull js.Value) (any, error) {
	object, report, err := w.start(&puller{pull: pull})
	if err != nil {
		return nil, err
	}
	r := io.MultiReader(bytes.NewReader(object.FileMeta().AppendTo(nil)), object)
	var read, cancel js.Func
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = object.Close() // gives memory back
			read.Release()
			cancel.Release()
		}
	}
	chunk := make([]byte, chunkSize)
	read = function(func([]js.Value) (any, error) {
		return promise(func() (any, error) {
			n, err := fill(r, chunk)
			if err != nil || n == 0 {
				result := map[string]any{"bytes": nil}
				if err == nil && !ended {
					result["report"] = reportOf(object, report)
				}
				end()
				return result, err
			}
			return map[string]any{"bytes": array(chunk[:n])}, nil
		}), nil
	})
	cancel = function(func([]js.Value) (any, error) { end(); return js.Undefined(), nil })
	return map[string]any{"report": reportOf(object, report), "read": read, "cancel": cancel}, nil
}

// fill reads until b is full, or the end: n is 0 there. An object that was cut off is an error, whatever was read of
// it.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if err == io.EOF { // one that wraps it may be of a lost connection
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// identify (Uint8Array) gives what a file says of whose it is, from its first bytes: its header must be among them.
func identify(args []js.Value) (any, error) {
	in := make([]byte, args[0].Get("length").Int())
	js.CopyBytesToGo(in, args[0])
	_, o, err := stream.OpenFile(bytes.NewReader(in), stream.Limits{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Close() }() // gives memory back
	h := o.Header()
	issuer := ""
	if len(args) > 1 && args[1].Type() == js.TypeString {
		issuer = args[1].String()
	}
	id, study := h.Text(dict.PatientID), h.Text(dict.StudyInstanceUID)
	return map[string]any{
		"identity":  string(deid.PatientIdentity(id, issuer, study)),
		"patientID": id, "patientName": h.Text(dict.PatientName),
		"studyInstanceUID": study, "seriesInstanceUID": h.Text(dict.SeriesInstanceUID),
		"sopInstanceUID": h.SOPInstanceUID(),
	}, nil
}

// reportOf is what was done to an object, with its UIDs as sent.
func reportOf(o *stream.Object, r *deid.Report) map[string]any {
	counts := map[string]any{}
	for a := deid.Keep; a <= deid.Assign; a++ {
		if n := r.Count(a); n > 0 {
			counts[a.String()] = n
		}
	}
	var codes []any
	for _, c := range r.Codes {
		codes = append(codes, c)
	}
	h := o.Header()
	return map[string]any{
		"studyInstanceUID":  h.Text(dict.StudyInstanceUID),
		"seriesInstanceUID": h.Text(dict.SeriesInstanceUID), "sopInstanceUID": h.SOPInstanceUID(),
		"transferSyntaxUID": o.FileMeta().TransferSyntaxUID, "counts": counts,
		"behind": r.Behind, "codes": codes, "toUTF8": r.ToUTF8,
		"assumedCharset": r.AssumedCharset,
	}
}

// hexKey reads a patient's key of 64 hexadecimal digits.
func hexKey(text string) (key deid.PatientKey, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(key) {
		return key, errors.New("the patient's key must be 32 bytes, or 64 hexadecimal digits")
	}
	copy(key[:], b)
	return key, nil
}
