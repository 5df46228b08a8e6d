"""What the headers of columns say, in Portuguese and English: "E-mail comercial 2" is an e-mail address."""

import re
from collections.abc import Mapping

from app.common.domain import folded
from app.imports.domain.lead_field import LeadField

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
SURE, LIKELY, VAGUE = 0.95, 0.9, 0.6

_SYNONYMS: Mapping[LeadField, str] = {
    LeadField.NAME: """
        nome; nome completo; nome e sobrenome; nome do contato; nome contato; nome do cliente; nome cliente;
        nome do lead; nome lead; nome da pessoa; name; full name; fullname; contact name; lead name; customer name;
        client name; person name; display name; your name; seu nome; qual seu nome; qual o seu nome; seu nome completo
    """,
    LeadField.FIRST_NAME: "primeiro nome; prenome; first name; firstname; given name; forename; first",
    LeadField.LAST_NAME: """
        sobrenome; ultimo nome; nome de familia; last name; lastname; surname; family name; last
    """,
    LeadField.EMAIL: """
        email; e mail; mail; correio eletronico; endereco de email; endereco de e mail; endereco eletronico;
        email address; e mail address; mail address; email addresses; emails; e mails; seu email; seu e mail;
        qual seu email; qual seu e mail; qual o seu email; qual o seu e mail; your email
    """,
    LeadField.PHONE: """
        telefone; telefones; tel; fone; fones; celular; celulares; cel; whatsapp; whats; whats app; wpp; zap; zapzap;
        telefone celular; telefone fixo; telefone whatsapp; celular whatsapp; whatsapp celular; telefone e whatsapp;
        numero de telefone; numero do telefone; numero telefone; numero do celular; numero de celular; numero celular;
        numero de whatsapp; numero do whatsapp; numero whatsapp; telefone de contato; telefone para contato;
        telefone ou whatsapp; celular ou whatsapp; fone celular; ddd telefone; telefone ddd; telefone com ddd;
        celular com ddd; whatsapp com ddd; seu telefone; seu whatsapp; seu celular; qual seu whatsapp;
        qual o seu whatsapp; qual seu telefone; qual o seu telefone; phone; phones; phone number; phone numbers;
        telephone; telephone number; mobile; mobile number; mobile phone; mobile phone number; cell; cell phone;
        cellphone; cell phone number; contact number; whatsapp number; whatsapp phone number; phone no; tel no
    """,
    LeadField.COMPANY: """
        empresa; nome da empresa; nome empresa; nome de empresa; razao social; nome fantasia; fantasia; organizacao;
        nome da organizacao; companhia; instituicao; negocio; empresa atual; sua empresa; company; company name;
        organization; organisation; organization name; organisation name; account name; business name; employer;
        current company; companyname; nome da sua empresa; qual o nome da sua empresa; qual sua empresa;
        qual a sua empresa
    """,
    LeadField.TITLE: """
        cargo; cargo atual; funcao; posicao; profissao; ocupacao; titulo profissional; titulo do cargo; nome do cargo;
        seu cargo; title; job title; jobtitle; position; current position; job; job position; role; job role;
        occupation; headline
    """,
    LeadField.LINKEDIN: """
        linkedin; perfil linkedin; perfil do linkedin; perfil no linkedin; linkedin url; url linkedin; url do linkedin;
        link linkedin; link do linkedin; linkedin profile; linkedin profile url; linkedin link; person linkedin url;
        linkedin da pessoa; seu linkedin; linkedin username
    """,
    LeadField.INSTAGRAM: """
        instagram; insta; ig; perfil instagram; perfil do instagram; perfil no instagram; usuario do instagram;
        usuario instagram; arroba do instagram; instagram url; url instagram; url do instagram; link instagram;
        link do instagram; instagram profile; instagram profile url; instagram handle; instagram username; ig handle;
        ig username; seu instagram; qual seu instagram; qual o seu instagram
    """,
    LeadField.FACEBOOK: """
        facebook; face; fb; perfil facebook; perfil do facebook; perfil no facebook; facebook url; url facebook;
        url do facebook; link facebook; link do facebook; facebook profile; facebook profile url; facebook username;
        pagina do facebook; facebook page
    """,
    LeadField.TAGS: """
        etiquetas; etiqueta; tags; tag; marcadores; marcador; labels; label; rotulos; rotulo; grupos; groups;
        group membership; segmentos; segmento; segments; segment; listas; lists; contact tags; lead tags
    """,
    LeadField.NOTE: """
        observacoes; observacao; obs; notas; nota; anotacoes; anotacao; comentarios; comentario; notes; note; comments;
        comment; remarks; remark
    """,
}  # fmt: skip
_VAGUE: Mapping[LeadField, str] = {
    LeadField.NAME: "contato; contact; cliente; lead; pessoa; person; aluno; paciente; responsavel; representante",
    LeadField.TITLE: "titulo; area; departamento e cargo",
    LeadField.NOTE: "descricao; description; detalhes; details; mensagem; message; historico; about",
}
_OTHERS = """
    site; website; web site; web page; homepage; home page; pagina; site da empresa; company website; website url;
    linkedin company page; company linkedin url; empresa linkedin; linkedin da empresa; company linkedin;
    company phone; company phone number; corporate phone; telefone da empresa;
    id; uuid; codigo; cpf; cnpj; cpf cnpj; rg; cep; zip; zip code; postal code;
    endereco; address; cidade; city; estado; state; uf; pais; country; bairro; data de nascimento; nascimento; birthday;
    data; date; valor; value; preco; price; status; origem; source; other identities; outras identidades
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OF_OTHERS = _words(
    """
    owner proprietario responsavel vendedor seller salesperson manager gerente assistant secretaria indicacao
    indicado referral spouse conjuge emergencia emergency billing faturamento company empresa
    """
)
"""Whose it is, if not the lead's: "Owner e-mail" is none of theirs, and all of a company have "Company phone"."""
_QUALIFIERS = _words(
    """
    principal primary main comercial business corporativo corporate profissional professional pessoal personal
    trabalho work home casa residencial secundario secondary alternativo alternative adicional additional outro outra
    other novo new lead contato contact cliente customer client do da de the value valor obrigatorio required
    qual e o a seu sua informe digite
    """
)


def header_key(header: str) -> str:
    """The words of a header, folded: "E-mail_Comercial" is "e mail comercial"."""
    return " ".join(_WORD.findall(folded(header)))


def _table(synonyms: Mapping[LeadField, str]) -> dict[str, LeadField]:
    return {" ".join(one.split()): field for field, text in synonyms.items() for one in text.split(";")}


_SURE, _UNSURE = _table(_SYNONYMS), _table(_VAGUE)
_KNOWN_OTHERS = frozenset(" ".join(one.split()) for one in _OTHERS.split(";"))


def field_of_header(header: str) -> tuple[LeadField, float] | None:
    """The field a header names, and how sure that is; METADATA: it names something no field is for; None: unknown."""
    return _field_of_key(header_key(header)) or _field_of_key(header_key(_CAMEL.sub(" ", header)))


def _field_of_key(key: str) -> tuple[LeadField, float] | None:
    if found := _SURE.get(key):
        return found, SURE
    if key in _KNOWN_OTHERS:
        return LeadField.METADATA, SURE
    if found := _UNSURE.get(key):
        return found, VAGUE
    words = [word for word in key.split() if not word.isdigit()]
    if not _OF_OTHERS.isdisjoint(words):
        return LeadField.METADATA, LIKELY
    for core in (words, [word for word in words if word not in _QUALIFIERS]):
        if found := _SURE.get(" ".join(core)):
            return found, LIKELY
    return None
