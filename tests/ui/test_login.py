"""Addresses and domains that may enter, and addresses that count as verified."""

import pytest
import streamlit as st

from triovision.ui import login
from triovision.ui.login import address, is_listed
from triovision.ui.owner import is_owner


@pytest.mark.parametrize(
    ("email", "entries", "listed"),
    [
        ("anna@example.org", "anna@example.org", True),
        ("anna@example.org", " Bob@x.org,\tANNA@Example.Org ", True),
        ("anna@example.org", "example.org", True),
        ("anna@example.org", "@example.org", True),
        ("anna@example.org", "bob@example.org, example.com", False),
        ("anna@example.org.evil.net", "example.org, anna@example.org", False),
        ("anna@sub.example.org", "example.org", False),
        ("anna@notexample.org", "example.org", False),
        ("anna@example.org@evil.net", "example.org, anna@example.org", False),
        ("example.org", "example.org", False),
        ("", "", False),
        (None, "example.org", False),
        ("anna@example.org", "", False),
        ("anna@example.org", "*", False),  # for whoever may enter, not for this function
    ],
)
def test_addresses_and_domains(email, entries, listed):
    assert is_listed(email, entries) is listed


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"is_logged_in": True, "email": " Anna@Example.org "}, "anna@example.org"),
        ({"is_logged_in": True, "email": "anna@example.org", "email_verified": True}, "anna@example.org"),
        ({"is_logged_in": True, "email": "anna@example.org", "email_verified": "true"}, "anna@example.org"),
        ({"is_logged_in": True, "email": "anna@example.org", "email_verified": False}, None),
        ({"is_logged_in": True, "email": "anna@example.org", "email_verified": "false"}, None),
        ({"is_logged_in": True, "email": "anna@example.org", "email_verified": None}, None),
        ({"is_logged_in": True, "preferred_username": "anna@example.org"}, None),
        ({"is_logged_in": True, "email": 7}, None),
        ({"is_logged_in": True, "email": "anna@example.org", "email_verified": ["true"]}, None),
        ({"is_logged_in": False, "email": "anna@example.org"}, None),
        ({"email": "anna@example.org"}, None),
        ({}, None),
    ],
)
def test_an_address_counts_after_a_login_and_unless_the_provider_says_that_it_is_not_verified(
    monkeypatch, claims, expected
):
    monkeypatch.setattr(st, "user", claims)
    assert address() == expected


@pytest.mark.parametrize(
    ("claims", "owner"),
    [
        ({"is_logged_in": True, "email": "anna@example.org"}, True),
        ({"is_logged_in": True, "email": "bob@example.org"}, False),
        ({"is_logged_in": True, "email": "anna@example.org", "email_verified": False}, False),
        ({}, False),
    ],
)
def test_the_owner_may_be_named_by_address(monkeypatch, claims, owner):
    monkeypatch.setattr(st, "user", claims)
    monkeypatch.setenv("TRIOVISION_ADMIN", "carol@x.org, Anna@example.org")
    assert is_owner() is owner


def test_without_a_login_everybody_may_enter(monkeypatch):
    monkeypatch.delenv(login.USERS, raising=False)
    assert login.may_enter()
