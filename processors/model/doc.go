// Package model holds what is learnt: equations and their fitting, one package
// for each model, so that one equation exists once.
//
//	Parquet, or a table → fit → parameters → models (a version in the log)
//	profile + parameters → evaluate → scores
//
// A station that fits, the fold that serves, and "segue evaluate" all call the
// same functions. None of them reads a clock, does I/O, or draws at random: the
// instant is an argument, and the same rows give the same parameters. Each
// package names its paper and its units, and its tests hold it to published
// values.
//
//	history                            a customer's purchases, as models see them
//	paretonbd, bgnbd, mbgnbd           how often, and until when, a customer buys
//	gammagamma                         for how much, and what that is worth
//	churn                              which of them is shown, and as what
//	likelihood, special                fitting, and functions, that they share
//	feature → logistic, trees          how likely a customer is to do something,
//	        → calibrate → propensity   and how sure that is
//	draw                               what stands in for chance
//	linear                             log-odds as a sum of weights
//	newton                             how both kinds of log-odds are fitted
//	measure                            how good a prediction was
//	pair                               what is bought together
//	basket                             what the next basket holds
//	subject → bandit                   which line is shown, and how often
//	uplift                             for whom a treatment changes anything
//	lift                               what an experiment did, and whether it was one
//	session                            what a visitor looks at next
//	sendtime                           at which hour a person is there
package model
