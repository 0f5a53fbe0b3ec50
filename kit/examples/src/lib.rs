//! Recipes: each example of this package is an extension of its own. The guide explains them.
