package schemas

// LateAfter is how far, in milliseconds, an event may lie behind its record
// and still start something. What is later informs only.
const LateAfter = 15 * 60 * 1000
