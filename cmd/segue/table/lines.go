package table

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
)

// Lines are the values of each line of a text, gzipped or not, that is no table: at
// most half of its lines have as many values as the first. Of a table, which may
// have lines that are wrong, ok is false.
func Lines(path string) (lines [][]string, ok bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	text := bufio.NewReaderSize(file, 1<<16)
	if head, _ := text.Peek(4); string(head) == "PAR1" {
		return nil, false, nil
	}
	if text, err = unzipped(text); err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	records := csv.NewReader(text)
	records.FieldsPerRecord = -1
	alike := 0
	for {
		values, err := records.Read()
		if err == io.EOF {
			return lines, len(lines) > 0 && 2*alike <= len(lines), nil
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			return nil, false, fmt.Errorf("%s:%d: %w", path, wrong.Line, wrong.Err)
		}
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", path, err)
		}
		lines = append(lines, values)
		if len(values) == len(lines[0]) {
			alike++
		}
	}
}
