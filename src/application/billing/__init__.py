"""Selling: orders, payments, refunds, coupons, and the invoices of all that."""
