// Package typo finds the name that was probably meant: in configuration and data files, and in a record for
// which a repair is sought. What strangers publish is judged by its own rules.
package typo

// Nearest is the name with the fewest letters changed, empty where none is near: of a short name more than
// half would be changed, and that is no typing mistake.
func Nearest(name string, names []string) string {
	best, least := "", min(4, len(name)/2+1)
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
