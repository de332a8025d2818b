"""Selling: orders, payments, refunds and coupons."""
