// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/deid/internal/words"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// maxMethods is how many values of De-identification Method stay beside ours.
const maxMethods = 16

// methods is De-identification Method (0012,0063): what is there already, as far as it says nothing else, and ours.
func methods(e *values.Element, ours string, lv *level) string {
	if len(e.Value) == 0 || e.Content != stream.PlainValue {
		return ours
	}
	list := strings.Split(ours, `\`)
	text := string(e.Value)
	if !values.PlainASCII(e.Value) {
		if lv.set == nil {
			return ours
		}
		var err error
		if text, err = lv.set.DecodeStrict(e.Value, dict.LO); err != nil {
			return ours
		}
	}
	var earlier []string
	for value := range strings.SplitSeq(text, `\`) {
		if value = methodText(values.Trim(value)); value != "" &&
			!slices.Contains(list, value) && len(earlier) < maxMethods {
			earlier = append(earlier, value)
		}
	}
	return strings.Join(append(earlier, list...), `\`)
}

// methodText returns what stays of an earlier value: the hash of a profile, the name and version of one of ours, and
// else the words that tell of methods. It is free text, in which somebody may have written whom it is about.
func methodText(value string) string {
	if b, err := hex.DecodeString(value); err == nil && len(b) == 32 && strings.ToLower(value) == value {
		return value
	}
	if name, version, ok := strings.Cut(value, " "); ok && version != "" &&
		len(version) <= 3 && strings.Trim(version, "0123456789") == "" {
		if _, ok := BuiltinProfile(name); ok {
			return value
		}
	}
	cleaned, all := methodWords().CleanValue(value)
	if !all {
		value = cleaned
	}
	for utf8.RuneCountInString(value) > values.MaxText {
		value = value[:max(0, strings.LastIndexByte(value, ' '))]
	}
	return value
}

// methodWords are the words of methods, which stay beside those of the vocabulary.
var methodWords = sync.OnceValue(func() words.Own {
	set := words.Own{}
	for word := range strings.FieldsSeq(`anonymised anonymiser anonymisation anonymized anonymizer anonymization
		anonymous anon pseudonymised pseudonymisation pseudonymized pseudonymization pseudonym de-identified de-identifier
		de-identification deidentified deidentifier deidentification deid defaced removed replaced cleaned blanked emptied
		hashed shifted kept retained mapped encrypted by manually manual script scripts rules filter basic application
		level confidentiality profile profiles option options retain clean longitudinal temporal information full modified
		dates uid uids device identity institution patient characteristics safe private descriptors descriptor structured
		content graphics recognizable visual features pixel data attribute attributes tag tags header headers element
		elements dicom standard ps3.15 3.15 part15 supplement142 sup142 annex annexe e.1 e.1-1 table cid 7050 dcm details
		detail per see based default version code codes sequence 0012,0063 0012,0064 hipaa gdpr harbor limited set 113100
		113101 113102 113103 113104 113105 113106 113107 113108 113109 113110 113111 113112 and or of the to for from with
		without in on as all not no adit ctp rsna mirc pixelmed gdcm gdcmanon orthanc dcm4che dcm4chee dcmtk dcmodify xnat
		dicomedit pydicom fieldtrip osirix tcia nbia posda midi-b karnak kheops conquest`) {
		set[word] = struct{}{}
	}
	return set
})

// keepMethodCodes writes (0012,0064) as the instance has it, less what isn't true any more, and with our items behind.
// ok is false if it has no items that can be read: then nothing is written.
func (w *rewriter) keepMethodCodes(e *values.Element, lv *level) (ok bool, err error) {
	items := *e
	switch {
	case e.Content == stream.Items:
	case e.Content == stream.PlainValue && e.VR == dict.UN:
		items.Content, items.Inside = stream.Items, stream.ItemsOfUN()
	default:
		return false, nil
	}
	before := w.here()
	w.said = w.said[:0]
	_, err = w.sequence(&items, Keep, lv)
	if errors.Is(err, values.ErrMalformed) || err == nil && len(w.said) == 0 {
		w.back(before)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	w.tell(e, Assign, "always: says what was done", before.out, lv)
	return true, nil
}

// readMethod looks at an item of (0012,0064) as it was written. It returns why it goes; empty if it stays.
func (w *statement) readMethod(item []byte, enc stream.Encoding) (gone string) {
	code, scheme := codeOf(item, enc)
	switch {
	case code == "":
		return "an item without a code says nothing"
	case scheme == "DCM" && w.p.Contradicts(code):
		return "it describes an earlier de-identification, which no longer holds"
	case scheme != "DCM":
		code = ""
	}
	w.said = append(w.said, code)
	return ""
}

// codeOf returns code value and coding scheme of an item.
func codeOf(item []byte, enc stream.Encoding) (code, scheme string) {
	for pos := 0; pos < len(item); {
		h, ok := enc.Head(item[pos:])
		if !ok || h.Tag == dict.ItemDelimitationTag {
			break
		}
		pos += h.Size
		n := int(h.Length)
		if h.Length == stream.UndefinedLength {
			var err error
			if n, err = values.SkipItems(item[pos:], h, 0); err != nil {
				break
			}
		} else {
			value := string(values.Trimmed(item[pos : pos+n]))
			switch h.Tag {
			case dict.CodeValue, dict.LongCodeValue, dict.URNCodeValue:
				code = value
			case dict.CodingSchemeDesignator:
				scheme = value
			}
		}
		pos += n
	}
	return code, scheme
}

// appendMethods appends the items of (0012,0064) that say what is done (CID 7050), but those that items which stay say.
func (w *statement) appendMethods(b []byte, enc stream.Encoding) []byte {
	codes, _ := w.codes()
	for _, m := range codes {
		// what was modified isn't full
		if slices.Contains(w.said, m.Code) || m.Code == "113106" && slices.Contains(w.said, "113107") {
			continue
		}
		b = enc.AppendHead(b, dict.ItemTag, 0, 0)
		begin := len(b)
		b = appendText(b, enc, dict.CodeValue, dict.SH, m.Code)
		b = appendText(b, enc, dict.CodingSchemeDesignator, dict.SH, "DCM")
		b = appendText(b, enc, dict.CodeMeaning, dict.LO, m.Meaning)
		enc.PutUint32(b[begin-4:], uint32(len(b)-begin))
	}
	return b
}
