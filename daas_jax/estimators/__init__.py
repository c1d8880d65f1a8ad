"""Gradient estimators of bilevel searches: pure functions of arrays, usable on any JAX loss without
the rest.

  exact         gradients through inner steps by automatic differentiation: policies,
  hyper-parameters, architectures unrolled      inner steps of any optax transformation, alignments,
  DAAS Eq. 13, finite differences score         the score function and its baselines
  control       an additive control variate learned from past alignments
  curvature     Hessian-vector and mixed products, the amended architecture gradient, the dominant
  eigenvalue ddas          DDAS Eq. 3-17
  relax         RELAX for a categorical variable
  gumbel        straight-through samples
  architecture  estimators of grad_alpha E_Z[L(Z)]: straight-through, score function, DSNAS, GDAS's
    all ones
  summary       bias, variance, cosines and z-scores of draws against an exact gradient
  passes        a step as a table of gradient passes, run by one compiled program
"""
