// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/frames"
	"github.com/adit-go/adit/dicom/render"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/engine/pictures"
	"github.com/adit-go/adit/http/problem"
)

// Media types of pictures, the one that is given to who takes any first.
var pictureTypes = []string{render.JPEG, render.PNG}

const (
	pdfType   = "application/pdf"
	thumbSize = 128 // pixels, where nothing else is asked for
)

// pictureRoutes returns the routes of rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4).
func (p proxy) pictureRoutes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{}
	for _, at := range []string{studyPath, seriesPath, instancePath, instancePath + "/frames/{frames}"} {
		routes[at+"/rendered"] = p.reads(func(w http.ResponseWriter, r *http.Request, of what) error {
			return p.picture(w, r, of, false)
		})
		routes[at+"/thumbnail"] = p.reads(func(w http.ResponseWriter, r *http.Request, of what) error {
			return p.picture(w, r, of, true)
		})
	}
	return routes
}

// picture serves a picture of one frame: of the one that is named; else of the one that stands for the instance, the
// series or the study. A document is served as what it is.
func (p proxy) picture(w http.ResponseWriter, r *http.Request, of what, thumbnail bool) error {
	rq, err := pictureOptions(r.URL.Query(), thumbnail)
	if err != nil {
		return err
	}
	if list := chi.URLParam(r, "frames"); list != "" {
		numbers, err := frameNumbers(list)
		if err != nil {
			return err
		}
		if len(numbers) > 1 {
			return problem.New(http.StatusBadRequest, "A picture is made of one frame; name one.")
		}
		rq.Frame = numbers[0]
	}
	if of, err = of.representative(r); err != nil {
		return err
	}
	s, release, err := of.show(r)
	if err != nil {
		return err
	}
	defer release()
	if p.Pictures == nil {
		return problem.New(http.StatusNotImplemented, "This ADIT makes no pictures.")
	}
	if dict.UIDName(s.SOPClassUID) == dict.UIDName(dict.EncapsulatedPDFStorage) && !thumbnail {
		return s.document(w, r)
	}
	kind, many, ok := pictureType(r)
	if !ok {
		return problem.New(http.StatusNotAcceptable, "Pictures are made as image/jpeg and image/png; accept one of them.")
	}
	rq.Options.Type, rq.File, rq.Size = kind, s.file, s.size
	made, err := p.Pictures.Render(r.Context(), rq)
	if err != nil {
		return pictureFailed(err)
	}
	if many {
		return value{kind: made.Type, tell: s.tell}.write(w, r, int64(len(made.Data)), strings.NewReader(string(made.Data)))
	}
	if err := s.tell(r.Context()); err != nil {
		return err
	}
	w.Header().Set("Content-Type", made.Type)
	w.Header().Set("Content-Length", strconv.Itoa(len(made.Data)))
	w.Header().Set("Cache-Control", "no-store") // a right may be lost, or somebody else use the browser
	_, _ = w.Write(made.Data)                   // the caller has gone
	return nil
}

// pictureFailed judges why there is no picture.
func pictureFailed(err error) error {
	busy, isBusy := errors.AsType[*pictures.Busy](err)
	switch {
	case isBusy:
		return problem.New(http.StatusServiceUnavailable, problem.Sentence(err.Error())).Retry(busy.RetryAfter)
	case errors.Is(err, pictures.ErrUnsupported):
		return problem.New(http.StatusNotAcceptable, problem.Sentence(err.Error()))
	case errors.Is(err, pictures.ErrFailed):
		return problem.New(http.StatusBadGateway, problem.Sentence(err.Error()))
	case errors.Is(err, pictures.ErrOptions):
		return problem.New(http.StatusBadRequest, problem.Sentence(err.Error()))
	}
	return framesFailed(err)
}

// representative names the instance that stands for a series or a study: the middle one of the series, or of the first
// series.
func (of what) representative(r *http.Request) (what, error) {
	if of.instance != "" {
		return of, nil
	}
	if err := of.ForViewing(r.Context()); err != nil {
		return of, err
	}
	if of.series == "" {
		series, err := of.Series(r.Context())
		if err != nil {
			return of, err
		}
		of.series = series[0]
	}
	var err error
	of.instance, err = of.Middle(r.Context(), of.series)
	return of, err
}

// pictureType returns the best of the media types that a client takes pictures in. many: it wants them in a message of
// many parts.
func pictureType(r *http.Request) (kind string, many, ok bool) {
	fields := accepted(r)
	for _, t := range media.ByWeight(media.ParseList(fields...)) {
		many := t.Name == "multipart/related"
		if many {
			t = media.Type{Name: t.Param("type")}
		}
		if i := slices.IndexFunc(pictureTypes, t.Includes); i >= 0 {
			return pictureTypes[i], many, true
		}
	}
	return pictureTypes[0], false, len(fields) == 0
}

// pictureOptions reads how a picture is to be (PS3.18 8.3.5).
func pictureOptions(q url.Values, thumbnail bool) (rq pictures.Request, err error) {
	o := &rq.Options
	if thumbnail {
		o.Width, o.Height = thumbSize, thumbSize
	}
	if text := q.Get("viewport"); text != "" {
		numbers, err := integers("viewport", text, 2, 6)
		if err != nil {
			return rq, err
		}
		o.Width, o.Height = numbers[0], numbers[1]
		copy(o.Source[:], numbers[2:])
	}
	if text := q.Get("quality"); text != "" {
		numbers, err := integers("quality", text, 1, 1)
		if err != nil {
			return rq, err
		}
		o.Quality = numbers[0]
	}
	if text := q.Get("window"); text != "" {
		parts := strings.Split(text, ",")
		window := &render.Window{}
		if len(parts) < 2 || len(parts) > 3 {
			return rq, bad("window", "is center,width or center,width,function")
		}
		for i, to := range []*float64{&window.Center, &window.Width} {
			if *to, err = strconv.ParseFloat(strings.TrimSpace(parts[i]), 64); err != nil {
				return rq, bad("window", "is center,width or center,width,function, the first two being numbers")
			}
		}
		if len(parts) == 3 {
			window.Function = strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(parts[2]), "-", "_"))
		}
		o.Window = window
	}
	return rq, nil
}

// integers reads whole numbers with commas between them.
func integers(name, text string, least, most int) (numbers []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		n := 0
		if part = strings.TrimSpace(part); part != "" {
			f, err := strconv.ParseFloat(part, 64)
			if err != nil || f != f || f > 1<<20 || f < -1<<20 {
				return nil, bad(name, "must be whole numbers with commas between them")
			}
			n = int(f)
		}
		if numbers = append(numbers, n); len(numbers) > most {
			break
		}
	}
	if len(numbers) < least || len(numbers) > most {
		return nil, bad(name, "has %s", fmt.Sprintf("between %d and %d numbers", least, most))
	}
	return numbers, nil
}

// document serves the document of an instance.
func (s viewed) document(w http.ResponseWriter, r *http.Request) error {
	path, err := frames.ParsePath("00420011")
	if err != nil {
		return err
	}
	found, err := frames.Find(s.file, s.size, path)
	if err != nil {
		return framesFailed(err)
	}
	if kind := s.kindOf(path); kind != pdfType {
		return problem.New(http.StatusNotAcceptable, "The document is not a PDF; get it by its bulk data.")
	}
	if err := s.tell(r.Context()); err != nil {
		return err
	}
	out := &answering{w: w, ctx: r.Context()}
	return out.alone(pdfType, found.Length, found.Reader())
}
