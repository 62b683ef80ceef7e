// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build js && wasm

package main

import (
	"errors"
	"fmt"
	"io"
	"syscall/js"

	"github.com/adit-go/adit/dicom/deid"
)

// array returns bytes to JavaScript, as a new Uint8Array.
func array(b []byte) js.Value {
	a := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(a, b)
	return a
}

// promise runs f beside the caller. It is resolved with what f gives, or with {error}.
func promise(f func() (any, error)) js.Value {
	var executor js.Func
	executor = js.FuncOf(func(_ js.Value, args []js.Value) any {
		resolve := args[0]
		go func() {
			executor.Release()
			v, err := f()
			if err != nil {
				v = failure(err)
			}
			resolve.Invoke(v)
		}()
		return nil
	})
	return js.Global().Get("Promise").New(executor)
}

// await waits for a promise. An exception becomes an error.
func await(p js.Value) (js.Value, error) {
	type outcome struct {
		v   js.Value
		err error
	}
	done := make(chan outcome, 1)
	resolved := js.FuncOf(func(_ js.Value, args []js.Value) any { done <- outcome{v: args[0]}; return nil })
	rejected := js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- outcome{err: errors.New("the source failed: " + js.Global().Call("String", args[0]).String())}
		return nil
	})
	defer resolved.Release()
	defer rejected.Release()
	p.Call("then", resolved, rejected)
	o := <-done
	return o.v, o.err
}

// puller reads pieces that JavaScript gives when asked.
type puller struct {
	pull  js.Value // function: a promise of a Uint8Array, or of null at the end
	chunk js.Value
	left  int // bytes of chunk, at its end
	err   error
}

func (p *puller) Read(b []byte) (int, error) {
	for p.left == 0 {
		if p.err != nil {
			return 0, p.err
		}
		v, err := await(p.pull.Invoke())
		switch {
		case err != nil:
			p.err = err
		case v.IsNull() || v.IsUndefined():
			p.err = io.EOF
		default:
			p.chunk, p.left = v, v.Get("length").Int()
		}
	}
	n := min(len(b), p.left)
	length := p.chunk.Get("length").Int()
	js.CopyBytesToGo(b[:n], p.chunk.Call("subarray", length-p.left, length-p.left+n))
	p.left -= n
	return n, nil
}

// fields calls set for each property of an object. Nothing of a profile or subject that isn't understood is passed
// over.
func fields(v js.Value, set func(name string, v js.Value) error) error {
	if v.Type() != js.TypeObject {
		return errors.New("it is not an object")
	}
	names := js.Global().Get("Object").Call("keys", v)
	for i := range names.Length() {
		name := names.Index(i).String()
		value := v.Get(name)
		if value.IsUndefined() || value.IsNull() {
			continue
		}
		if err := set(name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func number(v js.Value, to *uint32) error {
	if v.Type() != js.TypeNumber || v.Float() < 0 || v.Float() > 0xFFFFFFFF || v.Float() != float64(uint32(v.Float())) {
		return errors.New("it is not a whole number of 32 bits")
	}
	*to = uint32(v.Float())
	return nil
}

func text(v js.Value, to *string) error {
	if v.Type() != js.TypeString {
		return errors.New("it is not a text")
	}
	*to = v.String()
	return nil
}

// list calls add for each value of an array.
func list(v js.Value, add func(v js.Value) error) error {
	if !js.Global().Get("Array").Call("isArray", v).Bool() {
		return errors.New("it is not a list")
	}
	for i := range v.Length() {
		if err := add(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func texts(v js.Value, to *[]string) error {
	return list(v, func(v js.Value) error {
		var s string
		err := text(v, &s)
		*to = append(*to, s)
		return err
	})
}

var errUnknown = errors.New("unknown property")

func readDefinition(v js.Value, d *deid.Definition) error {
	return fields(v, func(name string, v js.Value) error {
		switch name {
		case "name":
			return text(v, &d.Name)
		case "version":
			return text(v, &d.Version)
		case "base":
			return text(v, &d.Base)
		case "options":
			return texts(v, &d.Options)
		case "allow":
			return texts(v, &d.Allow)
		case "vocabulary":
			return texts(v, &d.Vocabulary)
		case "overrides":
			return list(v, func(v js.Value) error {
				var o deid.Override
				err := readOverride(v, &o)
				d.Overrides = append(d.Overrides, o)
				return err
			})
		}
		return errUnknown
	})
}

func readOverride(v js.Value, o *deid.Override) error {
	to := map[string]*string{
		"tag": &o.Tag, "keyword": &o.Keyword, "vr": &o.VR, "creator": &o.Creator,
		"action": &o.Action, "with": &o.With, "pattern": &o.Pattern,
	}
	return fields(v, func(name string, v js.Value) error {
		if to[name] == nil {
			return errUnknown
		}
		return text(v, to[name])
	})
}

func readSubject(v js.Value) (s deid.Subject, err error) {
	hasKey := false
	err = fields(v, func(name string, v js.Value) error {
		switch name {
		case "patientKey": // never a project's: whoever has that one has the keys of all its patients
			hasKey = true
			return readKey(v, &s.Key)
		case "generation":
			return number(v, &s.Generation)
		case "patient":
			return text(v, (*string)(&s.Patient))
		case "issuer":
			return text(v, &s.Issuer)
		case "charset":
			return text(v, &s.Charset)
		case "pseudonym":
			return text(v, &s.Pseudonym)
		case "trialID":
			return text(v, &s.TrialID)
		case "trialName":
			return text(v, &s.TrialName)
		}
		return errUnknown
	})
	if err == nil && !hasKey && s.Pseudonym != "" {
		err = errors.New("a pseudonym needs a patientKey")
	}
	return s, err
}

// readKey takes 32 bytes or 64 hexadecimal digits.
func readKey(v js.Value, key *deid.PatientKey) (err error) {
	if v.Type() == js.TypeString {
		*key, err = hexKey(v.String())
		return err
	}
	if v.Type() != js.TypeObject || v.Get("length").Type() != js.TypeNumber ||
		v.Get("length").Int() != len(key) || !v.InstanceOf(js.Global().Get("Uint8Array")) {
		return errors.New("it must be 32 bytes, or 64 hexadecimal digits")
	}
	js.CopyBytesToGo(key[:], v)
	return nil
}
