// SPDX-License-Identifier: AGPL-3.0-or-later

package pictures

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/frames"
	"github.com/adit-go/adit/dicom/render"
	"github.com/adit-go/adit/dicom/stream"
)

// gdcm lists the transfer syntaxes that gdcmconv decodes.
var gdcm = map[string]bool{
	dict.JPEGExtended12Bit: true, dict.JPEGLossless: true, dict.JPEGLosslessSV1: true,
	dict.JPEGLSLossless: true, dict.JPEGLSNearLossless: true, dict.JPEG2000Lossless: true, dict.JPEG2000: true,
}

// decode has a frame decoded by gdcmconv. It gets a file of that frame alone, with what belongs to its pixels and
// nothing of the patient.
func (p *Pool) decode(ctx context.Context, in *input) (*input, error) {
	name := dict.TransferSyntaxOf(in.image.TransferSyntax).Name
	switch {
	case !gdcm[in.image.TransferSyntax]:
		return nil, fmt.Errorf("%w: nothing here decodes its transfer syntax, %s", ErrUnsupported, name)
	case p.config.Decoder == "" || p.config.Folder == "":
		return nil, fmt.Errorf(
			"%w: its transfer syntax, %s, needs gdcmconv (of the Debian package libgdcm-tools), which is not installed",
			ErrUnsupported, name,
		)
	case int64(in.image.Rows)*int64(in.image.Columns)*int64(in.image.Samples*in.image.BitsAllocated) > 8*render.MaxFrame:
		return nil, fmt.Errorf("%w: decoded, it has more than %d MiB", ErrUnsupported, render.MaxFrame>>20)
	}
	dir, err := os.MkdirTemp(p.config.Folder, "picture-*")
	if err != nil {
		return nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) } // what stays is removed with the folder
	out, err := p.decodeIn(ctx, dir, in)
	if err != nil {
		remove()
		return nil, err
	}
	file := out.remove
	out.remove = func() {
		file()
		remove()
	}
	return out, nil
}

func (p *Pool) decodeIn(ctx context.Context, dir string, in *input) (*input, error) {
	from, to := filepath.Join(dir, "in.dcm"), filepath.Join(dir, "out.dcm")
	if err := writeFrame(from, in); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, p.config.Program, Command, p.config.Decoder, "--raw", from, to)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = []string{}, "/", tied()
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); ok {
			return nil, fmt.Errorf("%w: gdcmconv failed on it", ErrFailed)
		}
		return nil, err
	}
	file, err := os.Open(to)
	if err != nil {
		return nil, fmt.Errorf("%w: gdcmconv made nothing of it", ErrFailed)
	}
	out, err := decoded(file, in.image)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%w: what gdcmconv made of it can't be read: %w", ErrFailed, err)
	}
	out.remove = func() { _ = file.Close() }
	return out, nil
}

// decoded is the frame that gdcmconv has written. How its pixels are encoded is what its header says; what they mean,
// that of the image.
func decoded(file *os.File, image *render.Image) (*input, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	x, err := frames.Open(file, info.Size())
	if err != nil {
		return nil, err
	}
	f, err := x.Frame(1)
	if err != nil {
		return nil, err
	}
	native, err := render.Describe(file, info.Size(), 1)
	if err != nil {
		return nil, err
	}
	if native.Rows != image.Rows || native.Columns != image.Columns || native.Samples != image.Samples ||
		f.Size > render.MaxFrame {
		return nil, errors.New("it has another size")
	}
	img := *image
	img.TransferSyntax, img.Planar = native.TransferSyntax, native.Planar
	if img.Samples > 1 {
		img.Photometric = native.Photometric
	}
	img.BitsAllocated, img.BitsStored, img.HighBit = native.BitsAllocated, native.BitsStored, native.HighBit
	img.Signed = native.Signed
	return &input{image: &img, frame: f.Reader(), size: f.Size}, nil
}

// writeFrame writes a file with one frame.
func writeFrame(path string, in *input) (err error) {
	img := in.image
	d := &stream.DataSet{}
	d.Set(dict.SOPClassUID, dict.SecondaryCaptureImageStorage)
	d.Set(dict.SOPInstanceUID, "2.25.1")
	d.SetInt(dict.SamplesPerPixel, img.Samples)
	d.Set(dict.PhotometricInterpretation, "MONOCHROME2") // whatever gray means, or a palette has: that comes after
	if img.Samples > 1 {
		d.Set(dict.PhotometricInterpretation, img.Photometric)
		planar := 0
		if img.Planar {
			planar = 1
		}
		d.SetInt(dict.PlanarConfiguration, planar)
	}
	signed := 0
	if img.Signed {
		signed = 1
	}
	d.SetInt(dict.Rows, img.Rows)
	d.SetInt(dict.Columns, img.Columns)
	d.SetInt(dict.BitsAllocated, img.BitsAllocated)
	d.SetInt(dict.BitsStored, img.BitsStored)
	d.SetInt(dict.HighBit, img.HighBit)
	d.SetInt(dict.PixelRepresentation, signed)
	b, err := d.AppendTo(stream.FileMeta{
		MediaStorageSOPClassUID: dict.SecondaryCaptureImageStorage, MediaStorageSOPInstanceUID: "2.25.1",
		TransferSyntaxUID: img.TransferSyntax,
	}.AppendTo(nil), img.TransferSyntax)
	if err != nil {
		return err
	}
	enc := stream.EncodingOf(dict.TransferSyntaxOf(img.TransferSyntax))
	b = enc.AppendHead(b, dict.PixelData, dict.OB, stream.UndefinedLength)
	b = enc.AppendHead(b, dict.ItemTag, 0, 0)
	b = enc.AppendHead(b, dict.ItemTag, 0, uint32(in.size+in.size%2))
	end := make([]byte, in.size%2, 9)
	end = enc.AppendHead(end, dict.SequenceDelimitationTag, 0, 0)

	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err = f.Write(b); err != nil {
		return err
	}
	source := &source{r: in.frame}
	if _, err = io.Copy(f, source); err != nil {
		if source.err != nil {
			return judge(source.err)
		}
		return err
	}
	_, err = f.Write(end)
	return err
}
