package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// openParquet opens what in holds; text has read its first bytes.
func (f *File) openParquet(in, text io.Reader) error {
	var at io.ReaderAt
	var size int64
	if file, ok := in.(*os.File); ok {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		at, size = file, info.Size()
	} else {
		all, err := io.ReadAll(text)
		if err != nil {
			return err
		}
		at, size = bytes.NewReader(all), int64(len(all))
	}
	file, err := parquet.OpenFile(at, size)
	if err != nil {
		return err
	}
	schema := file.Schema()
	var write []func(parquet.Value) string
	for _, path := range schema.Columns() {
		leaf, _ := schema.Lookup(path...)
		if len(path) != 1 || leaf.Node.Repeated() {
			return fmt.Errorf("got column %q with a structure, want plain columns", path[0])
		}
		f.names = append(f.names, path[0])
		write = append(write, writerOf(leaf.Node.Type()))
	}
	rows := parquet.NewReader(file)
	f.close = append(f.close, rows.Close)
	f.place = "%s: row %d"
	read := 0
	buffer, ahead := make([]parquet.Row, 256), []parquet.Row(nil)
	fields := make([]string, len(f.names))
	var failed error
	f.next = func() ([]string, int, error) {
		if len(ahead) == 0 {
			if failed != nil {
				return nil, 0, failed
			}
			n, err := rows.ReadRows(buffer)
			ahead, failed = buffer[:n], err
			if n == 0 {
				if err == nil {
					err = errors.New("the file ends before its rows do")
				}
				return nil, 0, err
			}
		}
		row := ahead[0]
		ahead = ahead[1:]
		read++
		clear(fields)
		for _, value := range row {
			if !value.IsNull() {
				fields[value.Column()] = write[value.Column()](value)
			}
		}
		return fields, read, nil
	}
	return nil
}

// writerOf is how values of a type are written in CSV.
func writerOf(t parquet.Type) func(parquet.Value) string {
	if logical := t.LogicalType(); logical != nil {
		switch logical := logical.Value.(type) {
		case *format.DateType:
			return func(v parquet.Value) string {
				return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)
			}
		case *format.TimestampType:
			return func(v parquet.Value) string {
				at := time.UnixMilli(v.Int64())
				switch logical.Unit.Value.(type) {
				case *format.MicroSeconds:
					at = time.UnixMicro(v.Int64())
				case *format.NanoSeconds:
					at = time.Unix(0, v.Int64())
				}
				return at.UTC().Format(time.RFC3339Nano)
			}
		case *format.DecimalType:
			return func(v parquet.Value) string { return decimal(v, int(logical.Scale)) }
		}
	}
	switch t.Kind() {
	case parquet.Float:
		return func(v parquet.Value) string { return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32) }
	case parquet.Double:
		return func(v parquet.Value) string { return strconv.FormatFloat(v.Double(), 'g', -1, 64) }
	case parquet.Int96:
		return func(v parquet.Value) string {
			// An instant as old writers keep it: nanoseconds of the day, Julian day.
			n := v.Int96()
			nanos := int64(n[1])<<32 | int64(n[0])
			return time.Unix((int64(n[2])-2440588)*86400, nanos).UTC().Format(time.RFC3339Nano)
		}
	}
	return parquet.Value.String
}

func decimal(v parquet.Value, scale int) string {
	unscaled := new(big.Int)
	switch v.Kind() {
	case parquet.Int32, parquet.Int64:
		unscaled.SetInt64(v.Int64())
		if v.Kind() == parquet.Int32 {
			unscaled.SetInt64(int64(v.Int32()))
		}
	default: // big-endian, in two's complement
		bytes := v.ByteArray()
		unscaled.SetBytes(bytes)
		if len(bytes) > 0 && int8(bytes[0]) < 0 {
			unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(bytes))))
		}
	}
	return new(big.Rat).SetFrac(unscaled, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
}
